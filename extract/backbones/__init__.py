"""Backbones by name: the built-in ones, and others through entry points of the group ``av2a.backbones``.

An entry point names a callable like :class:`extract.backbones.base.Loader` (docs/backbones.md). Nothing of a
backbone is imported before it is asked for.
"""

import inspect
from dataclasses import replace
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from extract.backbones.info import BackboneInfo, BuiltIn
from extract.errors import ExtractError
from feature_cache.lazy import public_face
from feature_cache.names import nearest, shortened

if TYPE_CHECKING:
    from extract.backbones.base import (
        Backbone,
        Encoded,
        FrameChooser,
        JointBackbone,
        Loader,
        SharedAudio,
        SharedViews,
        TextRules,
        TwoStep,
        VideoBackbone,
    )
    from extract.backbones.detector import Detector
    from extract.backbones.pixels import fit_frames

GROUP = "av2a.backbones"

__all__ = [
    "Backbone",
    "BackboneInfo",
    "Detector",
    "Encoded",
    "FrameChooser",
    "JointBackbone",
    "Loader",
    "SharedAudio",
    "SharedViews",
    "TextRules",
    "TwoStep",
    "VideoBackbone",
    "backbone_names",
    "describe_backbone",
    "fit_frames",
    "licence_notes",
    "load_backbone",
    "with_models",
]

_HOMES = {  # what authors of backbones need: it imports torch
    "Backbone": "extract.backbones.base",
    "Detector": "extract.backbones.detector",
    "Encoded": "extract.backbones.base",
    "FrameChooser": "extract.backbones.base",
    "JointBackbone": "extract.backbones.base",
    "TwoStep": "extract.backbones.base",
    "Loader": "extract.backbones.base",
    "SharedAudio": "extract.backbones.base",
    "SharedViews": "extract.backbones.base",
    "TextRules": "extract.backbones.base",
    "VideoBackbone": "extract.backbones.base",
    "fit_frames": "extract.backbones.pixels",
}

__getattr__, __dir__ = public_face(__name__, _HOMES)


_FOLDERS = ("clip_clap", "imagebind", "language_bind", "pe_a_frame", "pe_av", "tiny")
"""The packages below this one; each says in ``BACKBONES`` what it has."""


def _built_in() -> dict[str, BuiltIn]:
    found: dict[str, BuiltIn] = {}
    for folder in _FOLDERS:
        found |= import_module(f"extract.backbones.{folder}").BACKBONES
    return found


def backbone_names() -> list[str]:
    """Names that :func:`load_backbone` knows, sorted.

    Example:
        >>> backbone_names()[:3]
        ['clip_clap', 'clip_laion_clap', 'imagebind']
    """
    return sorted({*_built_in(), *entry_points(group=GROUP).names})


def with_models(name: str, image_model: str | None = None, audio_model: str | None = None) -> str:
    """The name of a backbone with an image model and a CLAP of choice, as :func:`load_backbone` and caches have it.

    Args:
        name: of the backbone, perhaps with models already.
        image_model: as open_clip has it, "NAME:TAG", "NAME", "local-dir:PATH" or "hf-hub:OWNER/NAME"; None: as ``name``
            says, or the usual one.
        audio_model: a CLAP of transformers, "OWNER/NAME" of a hub or "local-dir:PATH"; None: likewise.

    Raises:
        ExtractError: no name, or one that no backbone's can hold.

    Example:
        >>> with_models("clip_clap", "ViT-B-16-SigLIP2:webli", "laion/larger_clap_general")
        'clip_clap:ViT-B-16-SigLIP2:webli+laion/larger_clap_general'
    """
    if image_model is None and audio_model is None:
        return name
    base, image, audio = _taken_apart(name)
    for argument, model in (("image_model", image_model), ("audio_model", audio_model)):
        if model is not None and (not model or not model.isprintable() or (argument == "image_model" and "+" in model)):
            raise ExtractError(
                f"`{argument}={model!r}` is none: give a name, without line ends{', or a +' * ('+' in model)}"
            )
    image = image if image_model is None else image_model
    audio = audio if audio_model is None else audio_model
    return f"{base}:{image}+{audio}"


def _taken_apart(name: str) -> tuple[str, str, str]:
    """A backbone's own name, image model and CLAP; empty where none is named."""
    base, _, models = name.partition(":")
    image, _, audio = models.partition("+")
    return base, image, audio


def describe_backbone(name: str) -> BackboneInfo:
    """What is known of a backbone.

    Of one from another package: the attribute ``info`` of what its entry point names, and that package. Of one with
    models of choice the dimensions are not.

    Raises:
        ExtractError: unknown name.

    Example:
        >>> describe_backbone("clip_clap").visual_dim
        512
    """
    built_in = _built_in()
    base, *models = _taken_apart(name)
    if base in built_in:
        info = built_in[base].info
        if not any(models):
            return info
        usual = (model or name for model, name in zip(models, info.checkpoints, strict=False))
        return replace(info, visual_dim=None, audio_dim=None, checkpoints=tuple(usual))
    entry = _entry(name)
    home = "" if entry.dist is None else entry.dist.name
    try:
        stated = getattr(entry.load(), "info", None)
    except Exception as error:  # somebody else's code
        return BackboneInfo(extra=home, about=f"cannot be imported: {error}")
    return stated if isinstance(stated, BackboneInfo) else BackboneInfo(extra=home)


def licence_notes(name: str) -> tuple[str, ...]:
    """What the licence of a backbone's weights forbids, to be said once where it is chosen; none: nothing.

    Example:
        >>> licence_notes("clip_clap")
        ()
    """
    base, image, _ = _taken_apart(name)
    if base not in backbone_names():
        return ()
    from extract.backbones.clip_clap.image_models import licence_of

    return tuple(licence for licence in (describe_backbone(base).licence, licence_of(image)) if licence)


def load_backbone(
    name: str,
    checkpoint: Path | str | None = None,
    device: str = "cpu",
    precision: str = "float32",
    clap_checkpoint: Path | str | None = None,
) -> "Backbone":
    """Load a backbone's encoders.

    Args:
        name: one of :func:`backbone_names`, perhaps with models of choice (:func:`with_models`).
        checkpoint: folder with local weights; None for the backbone's own (from the package or the hub).
        device: "auto", "cpu", "cuda" or "cuda:i".
        precision: "float32", "float16" or "bfloat16", the arithmetic of the encoders.
        clap_checkpoint: a .pt file of laion_clap for the sound, for backbones whose loader takes one.

    Raises:
        ExtractError: unknown name, no such device, weights missing or damaged.

    Example:
        >>> encoders = load_backbone("tiny")
        >>> encoders.visual_dim
        64
    """
    base, *models = _taken_apart(name)
    load = _find(base)
    from extract.device import check_precision, resolve_device

    folder = None if checkpoint is None else Path(checkpoint)
    if folder is not None and not folder.is_dir():
        raise ExtractError(f"checkpoint folder {folder} is not there")
    more: dict[str, Any] = {}
    takes = inspect.signature(load).parameters
    if any(models):
        if "models" not in takes:
            raise ExtractError(f"backbone {base!r} takes no image or audio model of choice: use `backbone='clip_clap'`")
        more["models"] = tuple(models)
    if clap_checkpoint is not None:
        if "clap_checkpoint" not in takes:
            raise ExtractError(f"backbone {base!r} takes no CLAP checkpoint: use clip_clap or clip_laion_clap")
        if not Path(clap_checkpoint).is_file():
            raise ExtractError(f"CLAP checkpoint {clap_checkpoint} is not there: name a .pt file of laion_clap")
        more["clap_checkpoint"] = Path(clap_checkpoint)
    return load(folder, resolve_device(device), check_precision(precision), **more)


def _find(name: str) -> "Loader":
    built_in = _built_in()
    if name in built_in:
        module, function = built_in[name].loader.split(":")
        return cast("Loader", getattr(import_module(module), function))
    entry = _entry(name)
    try:
        return cast("Loader", entry.load())
    except Exception as error:  # somebody else's code
        home = entry.value if entry.dist is None else entry.dist.name
        raise ExtractError(f"backbone {name!r} of {home} cannot be imported: {error}") from error


def _entry(name: str) -> EntryPoint:
    found: list[EntryPoint] = list(entry_points(group=GROUP, name=name))
    if not found:
        known = backbone_names()
        meant = "".join(f" (nearest: {near})" for near in nearest(name, known))
        raise ExtractError(f"unknown backbone {shortened(name, 60)!r}{meant}: use one of {', '.join(known)}")
    return found[0]

"""Backbones by name: the built-in ones, and others through entry points of the group ``av2a.backbones``.

An entry point names a callable like :class:`extract.backbones.base.Loader` (docs/backbones.md). Nothing of a
backbone is imported before it is asked for.
"""

import inspect
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from extract.backbones.info import BackboneInfo, BuiltIn
from extract.errors import ExtractError
from feature_cache.lazy import public_face

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
    from extract.backbones.pixels import fit_frames

GROUP = "av2a.backbones"

__all__ = [
    "Backbone",
    "BackboneInfo",
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
]

_HOMES = {  # what authors of backbones need: it imports torch
    "Backbone": "extract.backbones.base",
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


_FOLDERS = ("clip_clap", "imagebind", "language_bind", "pe_av", "tiny")
"""The packages below this one; each says in ``BACKBONES`` what it has."""


def _built_in() -> dict[str, BuiltIn]:
    found: dict[str, BuiltIn] = {}
    for folder in _FOLDERS:
        found |= import_module(f"extract.backbones.{folder}").BACKBONES
    return found


def backbone_names() -> list[str]:
    """Names that :func:`load_backbone` knows, sorted.

    Example:
        >>> backbone_names()
        ['clip_clap', 'clip_laion_clap', 'imagebind', 'language_bind', 'pe_av', …, 'tiny']
    """
    return sorted({*_built_in(), *entry_points(group=GROUP).names})


def describe_backbone(name: str) -> BackboneInfo:
    """What is known of a backbone.

    Of one from another package: the attribute ``info`` of what its entry point names, and that package.

    Raises:
        ExtractError: unknown name.

    Example:
        >>> describe_backbone("clip_clap").visual_dim
        512
    """
    built_in = _built_in()
    if name in built_in:
        return built_in[name].info
    entry = _entry(name)
    home = "" if entry.dist is None else entry.dist.name
    try:
        info = getattr(entry.load(), "info", None)
    except Exception as error:  # somebody else's code
        return BackboneInfo(extra=home, about=f"cannot be imported: {error}")
    if isinstance(info, BackboneInfo):
        return info
    return BackboneInfo(extra=home)


def licence_notes(name: str) -> tuple[str, ...]:
    """What the licence of a backbone's weights forbids, to be said once where it is chosen; none: nothing.

    Example:
        >>> licence_notes("clip_clap")
        ()
    """
    if name not in backbone_names():
        return ()
    licence = describe_backbone(name).licence
    return (licence,) if licence else ()


def load_backbone(
    name: str,
    checkpoint: Path | str | None = None,
    device: str = "cpu",
    precision: str = "float32",
    clap_checkpoint: Path | str | None = None,
) -> "Backbone":
    """Load a backbone's encoders.

    Args:
        name: one of :func:`backbone_names`.
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
    load = _find(name)
    from extract.device import check_precision, resolve_device

    folder = None if checkpoint is None else Path(checkpoint)
    if folder is not None and not folder.is_dir():
        raise ExtractError(f"checkpoint folder {folder} is not there")
    more: dict[str, Any] = {}
    if clap_checkpoint is not None:
        if "clap_checkpoint" not in inspect.signature(load).parameters:
            raise ExtractError(f"backbone {name!r} takes no CLAP checkpoint: use clip_clap or clip_laion_clap")
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
        raise ExtractError(f"unknown backbone {name!r}: use one of {', '.join(backbone_names())}")
    return found[0]

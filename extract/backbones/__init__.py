"""Backbones by name: the built-in ones, and others through entry points of the group ``av2a.backbones``.

An entry point names a callable like :class:`extract.backbones.base.Loader` (docs/backbones.md). Nothing of a
backbone is imported before it is asked for.
"""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from extract.errors import ExtractError

if TYPE_CHECKING:
    from extract.backbones.base import Backbone, Loader

GROUP = "av2a.backbones"


@dataclass(frozen=True)
class BackboneInfo:
    """What is known of a backbone without loading it.

    Attributes:
        visual_dim: Dv of the published weights; None: it depends on the checkpoint.
        audio_dim: Da, likewise.
        checkpoints: names of the published weights.
        extra: what to install for it, as in "av2a[extract]".
        modules: import names of the packages it needs.
        about: a few words.
    """

    visual_dim: int | None = None
    audio_dim: int | None = None
    checkpoints: Sequence[str] = ()
    extra: str = ""
    modules: Sequence[str] = ()
    about: str = ""

    @property
    def installed(self) -> bool:
        """Whether the packages it needs are there."""
        return all(find_spec(name) is not None for name in self.modules)


_EXTRACT = ("av", "open_clip", "soxr", "torch", "transformers")
_CLIP = "timm/vit_base_patch32_clip_224.openai"

_BUILT_IN = {
    "clip_clap": (
        "extract.backbones.clip_clap.backbone:load",
        BackboneInfo(
            512, 512, (_CLIP, "laion/clap-htsat-unfused"), "av2a[extract]", _EXTRACT, "CLIP ViT-B/32 and CLAP"
        ),
    ),
    "clip_laion_clap": (
        "extract.backbones.clip_clap.laion_backbone:load",
        BackboneInfo(
            512, 512, (_CLIP, "lukewys/laion_clap 630k-audioset-best.pt"), "av2a[laion]", (*_EXTRACT, "laion_clap"),
            "clip_clap with sound through the laion_clap package",
        ),
    ),
    "language_bind": (
        "extract.backbones.language_bind.backbone:load",
        BackboneInfo(
            768, 768,
            tuple(f"LanguageBind/LanguageBind_{part}" for part in ("Image", "Video_FT", "Audio_FT")),
            "av2a[extract]", _EXTRACT, "LanguageBind: a video encoder, one text space",
        ),
    ),
    "tiny": (
        "extract.backbones.tiny:load",
        BackboneInfo(64, 64, ("in the package",), "av2a[extract]", _EXTRACT, "a toy that knows the demo's clips"),
    ),
}  # fmt: skip


def backbone_names() -> list[str]:
    """Names that :func:`load_backbone` knows, sorted."""
    return sorted({*_BUILT_IN, *entry_points(group=GROUP).names})


def describe_backbone(name: str) -> BackboneInfo:
    """What is known of a backbone.

    Of one from another package: the attribute ``info`` of what its entry point names, and that package.

    Raises:
        ExtractError: unknown name.
    """
    if name in _BUILT_IN:
        return _BUILT_IN[name][1]
    entry = _entry(name)
    home = "" if entry.dist is None else entry.dist.name
    try:
        info = getattr(entry.load(), "info", None)
    except Exception as error:  # somebody else's code
        return BackboneInfo(extra=home, about=f"cannot be imported: {error}")
    if isinstance(info, BackboneInfo):
        return info
    return BackboneInfo(extra=home)


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
    if name in _BUILT_IN:
        module, function = _BUILT_IN[name][0].split(":")
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

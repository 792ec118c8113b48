"""Backbones by name: the built-in ones, and others through entry points of the group ``av2a.backbones``.

An entry point names a callable like :class:`extract.backbones.base.Loader`.
"""

from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, cast

from extract.errors import ExtractError

if TYPE_CHECKING:
    from extract.backbones.base import Backbone, Loader

GROUP = "av2a.backbones"

_BUILT_IN = {
    "clip_clap": "extract.backbones.clip_clap:load",
    "tiny": "extract.backbones.tiny:load",
}


def backbone_names() -> list[str]:
    """Names that :func:`load_backbone` knows, sorted."""
    return sorted({*_BUILT_IN, *entry_points(group=GROUP).names})


def load_backbone(
    name: str,
    checkpoint: Path | str | None = None,
    device: str = "cpu",
    precision: str = "float32",
) -> "Backbone":
    """Load a backbone's encoders.

    Args:
        name: one of :func:`backbone_names`.
        checkpoint: folder with local weights; None for the backbone's own (from the package or the hub).
        device: "auto", "cpu", "cuda" or "cuda:i".
        precision: "float32", "float16" or "bfloat16", the arithmetic of the encoders.

    Raises:
        ExtractError: unknown name, no such device, weights missing or damaged.
    """
    load = _find(name)
    from extract.device import check_precision, resolve_device

    folder = None if checkpoint is None else Path(checkpoint)
    if folder is not None and not folder.is_dir():
        raise ExtractError(f"checkpoint folder {folder} is not there")
    return load(folder, resolve_device(device), check_precision(precision))


def _find(name: str) -> "Loader":
    if name in _BUILT_IN:
        module, function = _BUILT_IN[name].split(":")
        return cast("Loader", getattr(import_module(module), function))
    found: list[EntryPoint] = list(entry_points(group=GROUP, name=name))
    if not found:
        raise ExtractError(f"unknown backbone {name!r}: use one of {', '.join(backbone_names())}")
    return cast("Loader", found[0].load())

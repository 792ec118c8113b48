"""Stage 1: videos to embeddings (docs/design.md 2 and 5). Imports feature_cache, never score.

Nothing heavy is imported before a name is used: `extract.errors` and `extract.label_sets` need no torch.
"""

from typing import TYPE_CHECKING, Any

from extract.errors import ExtractError, MediaError

if TYPE_CHECKING:
    from extract.backbones import backbone_names, load_backbone
    from extract.label_sets import resolve_labels
    from extract.pipeline import Summary, extract_videos

__all__ = [
    "ExtractError",
    "MediaError",
    "Summary",
    "backbone_names",
    "extract_videos",
    "load_backbone",
    "resolve_labels",
]

_HOMES = {
    "Summary": "extract.pipeline",
    "backbone_names": "extract.backbones",
    "extract_videos": "extract.pipeline",
    "load_backbone": "extract.backbones",
    "resolve_labels": "extract.label_sets",
}


def __getattr__(name: str) -> Any:
    """Import the module behind a public name when it is first used."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)

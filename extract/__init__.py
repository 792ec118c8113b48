"""Stage 1: videos to embeddings (docs/design.md 2 and 5). Imports feature_cache, never score.

What is heavy is imported when it is first asked for: errors and label sets need no torch.
"""

from typing import TYPE_CHECKING

from feature_cache.lazy import public_face

if TYPE_CHECKING:
    from extract.backbones import backbone_names, describe_backbone, load_backbone, with_models
    from extract.backbones.clip_clap.image_models import list_image_models
    from extract.demo import make_demo
    from extract.errors import ExtractError, MediaError
    from extract.label_embeddings import add_label_set
    from extract.label_sets import resolve_labels
    from extract.options import ExtractOptions
    from extract.pipeline import extract_videos
    from extract.summary import Summary
    from feature_cache.errors import Av2aError

_HOMES = {
    "Av2aError": "feature_cache.errors",
    "ExtractError": "extract.errors",
    "ExtractOptions": "extract.options",
    "MediaError": "extract.errors",
    "Summary": "extract.summary",
    "add_label_set": "extract.label_embeddings",
    "backbone_names": "extract.backbones",
    "describe_backbone": "extract.backbones",
    "extract_videos": "extract.pipeline",
    "list_image_models": "extract.backbones.clip_clap.image_models",
    "load_backbone": "extract.backbones",
    "make_demo": "extract.demo",
    "resolve_labels": "extract.label_sets",
    "with_models": "extract.backbones",
}

__all__ = [
    "Av2aError",
    "ExtractError",
    "ExtractOptions",
    "MediaError",
    "Summary",
    "add_label_set",
    "backbone_names",
    "describe_backbone",
    "extract_videos",
    "list_image_models",
    "load_backbone",
    "make_demo",
    "resolve_labels",
    "with_models",
]

__getattr__, __dir__ = public_face(__name__, _HOMES)

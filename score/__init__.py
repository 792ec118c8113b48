"""Stage 2: feature cache to events, metrics and searches, on a CPU. Never imports torch (docs/design.md 2)."""

from typing import TYPE_CHECKING, Any

from score.config import ScoreConfig
from score.errors import AnnotationError, ScoreError

if TYPE_CHECKING:
    from score.datasets import Annotations
    from score.evaluation import Report, evaluate
    from score.events import Events
    from score.scoring import score
    from score.settings import defaults_for
    from score.stitching import stitch
    from score.tuning.result import SearchResult
    from score.tuning.search import search
    from score.tuning.space import Space

_HOMES = {
    "Annotations": "score.datasets",
    "Events": "score.events",
    "Report": "score.evaluation",
    "SearchResult": "score.tuning.result",
    "Space": "score.tuning.space",
    "defaults_for": "score.settings",
    "evaluate": "score.evaluation",
    "score": "score.scoring",
    "search": "score.tuning.search",
    "stitch": "score.stitching",
}

__all__ = [
    "AnnotationError",
    "Annotations",
    "Events",
    "Report",
    "ScoreConfig",
    "ScoreError",
    "SearchResult",
    "Space",
    "defaults_for",
    "evaluate",
    "score",
    "search",
    "stitch",
]


def __getattr__(name: str) -> Any:
    """Import what is heavy when it is first asked for."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module 'score' has no attribute {name!r}")
    found = getattr(import_module(_HOMES[name]), name)
    globals()[name] = found
    return found

"""Stage 2: feature cache to events, metrics and searches, on a CPU. Never imports torch (docs/design.md 2).

What is heavy is imported when it is first asked for.
"""

from typing import TYPE_CHECKING

from feature_cache.lazy import public_face

if TYPE_CHECKING:
    from feature_cache.errors import Av2aError
    from score.comparison import Comparison, compare
    from score.config import ScoreConfig
    from score.datasets import Annotations, read_annotations
    from score.errors import AnnotationError, ScoreError
    from score.evaluation import Report, evaluate
    from score.event_blocks import EventBlocks
    from score.events import Events
    from score.scoring import score, score_blocks
    from score.settings import settings_for
    from score.stitching import stitch
    from score.tuning.result import SearchResult
    from score.tuning.search import search
    from score.tuning.space import Space

_HOMES = {
    "AnnotationError": "score.errors",
    "Annotations": "score.datasets",
    "Av2aError": "feature_cache.errors",
    "Comparison": "score.comparison",
    "EventBlocks": "score.event_blocks",
    "Events": "score.events",
    "Report": "score.evaluation",
    "ScoreConfig": "score.config",
    "ScoreError": "score.errors",
    "SearchResult": "score.tuning.result",
    "Space": "score.tuning.space",
    "compare": "score.comparison",
    "evaluate": "score.evaluation",
    "read_annotations": "score.datasets",
    "score": "score.scoring",
    "score_blocks": "score.scoring",
    "search": "score.tuning.search",
    "settings_for": "score.settings",
    "stitch": "score.stitching",
}

__all__ = [
    "AnnotationError",
    "Annotations",
    "Av2aError",
    "Comparison",
    "EventBlocks",
    "Events",
    "Report",
    "ScoreConfig",
    "ScoreError",
    "SearchResult",
    "Space",
    "compare",
    "evaluate",
    "read_annotations",
    "score",
    "score_blocks",
    "search",
    "settings_for",
    "stitch",
]

__getattr__, __dir__ = public_face(__name__, _HOMES)

"""Stage 2: feature cache to events, metrics and searches, on a CPU. Never imports torch (docs/design.md 2).

What is heavy is imported when it is first asked for.
"""

from typing import TYPE_CHECKING

from feature_cache.lazy import public_face

if TYPE_CHECKING:
    from feature_cache.errors import Av2aError
    from score.clip_scores import SegmentScores
    from score.comparison import Comparison, compare
    from score.config import ScoreConfig
    from score.datasets import Annotations, read_annotations
    from score.errors import AnnotationError, ScoreError
    from score.evaluation import Report, evaluate
    from score.event_blocks import EventBlocks
    from score.events import Events
    from score.explaining.explain import explain
    from score.explaining.why import StreamWhy, Why
    from score.predictions import read_predictions
    from score.psds import psds
    from score.scoring import score, score_blocks
    from score.settings import settings_for
    from score.stitching import stitch
    from score.traces import segment_scores
    from score.tuning.result import SearchResult
    from score.tuning.rules_compared import RulesCompared, compare_rules
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
    "RulesCompared": "score.tuning.rules_compared",
    "ScoreConfig": "score.config",
    "ScoreError": "score.errors",
    "SearchResult": "score.tuning.result",
    "SegmentScores": "score.clip_scores",
    "Space": "score.tuning.space",
    "StreamWhy": "score.explaining.why",
    "Why": "score.explaining.why",
    "compare": "score.comparison",
    "compare_rules": "score.tuning.rules_compared",
    "evaluate": "score.evaluation",
    "explain": "score.explaining.explain",
    "psds": "score.psds",
    "read_annotations": "score.datasets",
    "read_predictions": "score.predictions",
    "score": "score.scoring",
    "score_blocks": "score.scoring",
    "search": "score.tuning.search",
    "segment_scores": "score.traces",
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
    "RulesCompared",
    "ScoreConfig",
    "ScoreError",
    "SearchResult",
    "SegmentScores",
    "Space",
    "StreamWhy",
    "Why",
    "compare",
    "compare_rules",
    "evaluate",
    "explain",
    "psds",
    "read_annotations",
    "read_predictions",
    "score",
    "score_blocks",
    "search",
    "segment_scores",
    "settings_for",
    "stitch",
]

__getattr__, __dir__ = public_face(__name__, _HOMES)

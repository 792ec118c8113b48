"""AV²A's plain reading for the clips of one file after the other, whose label shift runs on (docs/design.md 4.9)."""

import numpy as np

from feature_cache import Features, TextSet
from score.choices import STREAMS
from score.config import ScoreConfig
from score.logits import make_logits
from score.reference.scoring import Carried, ClipLogits, score_clip
from score.rules.base import Part


class PlainCarrier:
    """AV²A's rule for clips of one file after the other, by its plain reading: some milliseconds a clip."""

    def __init__(self, config: ScoreConfig, text: TextSet) -> None:
        """Prepare."""
        self._config, self._text, self._state = config, text, Carried()

    def begin_file(self) -> None:
        """As :class:`score.rules.base.CarriesClips`."""
        self._state = Carried()

    def score(self, features: Features) -> Part:
        """As :class:`score.rules.base.ScoresClips`, of clips that follow those of the call before.

        Raises:
            ScoreError: shapes or dtypes do not fit each other or the label set.
        """
        batch = make_logits(features, self._text, self._config.sound, self._config.audiovisual)
        table: list[tuple[int, ...]] = []
        scores: list[float] = []
        for i in range(len(features)):
            found = score_clip(ClipLogits.of(batch, i), self._text.labels, self._config, self._state)
            for place, stream in enumerate(STREAMS):
                for label, start, end, value in found[stream]:
                    table.append((i, place, label, start, end))
                    scores.append(value)
        return features.rows, np.array(table, np.int64).reshape(-1, 5), np.array(scores, np.float64)

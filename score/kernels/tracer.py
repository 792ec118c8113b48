"""Tracer: what one setting compares in batches of clips; what stands between arrays of a cache and the kernel."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from feature_cache import NO_PICTURE, NO_SOUND, Features, TextSet
from score.checks import check_features, check_segments, check_text
from score.choices import JOINT, KERNEL_STREAMS, STREAMS
from score.common_parameters import WINDOWS
from score.config import ScoreConfig
from score.kernels.from_logits import clip_workspace
from score.kernels.scorer import kernel_setting
from score.kernels.traces import trace_clips
from score.logits import Logits, joint_logits, make_logits, missing_bits
from score.rules.base import Traced

_PLACES = np.array([STREAMS.index(name) for name in KERNEL_STREAMS])
_BOTH, _SEEN, _HEARD = (STREAMS.index(name) for name in ("audiovisual", "visual", "audio"))


class Tracer:
    """One setting and one text set, ready for batches of clips from any number of threads."""

    def __init__(self, config: ScoreConfig, text: TextSet, segments: int) -> None:
        """Prepare.

        Raises:
            ScoreError: more than 64 segments a clip, or a text set without a row for each label.
        """
        check_segments(segments)
        check_text(text)
        self._text, self._segments, self._sound = text, segments, config.sound
        self._joint = config.audiovisual == JOINT
        self._setting = kernel_setting(config, segments)

    def trace(self, features: Features) -> Traced:
        """Probabilities, thresholds and positive segments of a batch of clips.

        Raises:
            ScoreError: shapes or dtypes do not fit each other or the text set.
        """
        check_features(features, self._text, self._segments)
        audio = features.audio if self._sound == WINDOWS else features.audio[:, :1]
        batch = make_logits(replace(features, video=features.video[:, :1], audio=audio), self._text, self._sound)
        clips, segments, labels = batch.image.shape
        shape = (clips, len(STREAMS), segments, labels)
        probability, threshold = np.full(shape, np.nan), np.full(shape, np.nan)
        found = Traced(features.rows, probability, threshold, np.zeros((clips, len(STREAMS), labels), np.uint64))
        self._trace(batch, _PLACES, found)
        if self._joint:
            self._read_joint(features, found)
        return found

    def _read_joint(self, features: Features, found: Traced) -> None:
        """The audiovisual stream from joint embeddings; in clips without picture or sound that of what is there."""
        self._trace(joint_logits(features, self._text, windows=False), np.full(len(STREAMS), _BOTH), found)
        missing = missing_bits(features)
        for table in found[1:]:
            for bit, left in ((NO_PICTURE, _HEARD), (NO_SOUND, _SEEN)):
                rows = np.flatnonzero(missing == bit)
                table[rows, _BOTH] = table[rows, left]

    def _trace(self, batch: Logits, places: NDArray[np.int64], found: Traced) -> None:
        """Write what is compared where ``places`` says, of streams that are parsed."""
        _, segments, labels = batch.image.shape
        trace_clips(
            batch.image,
            batch.video,
            batch.audio,
            batch.sound,
            batch.given,
            batch.cosine,
            batch.missing,
            self._setting,
            places,
            clip_workspace(labels, segments, batch.sound.shape[1]),
            np.zeros((segments, labels)),
            found.probability,
            found.threshold,
            found.positive,
        )

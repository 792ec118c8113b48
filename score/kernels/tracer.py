"""Tracer: what one setting compares in batches of clips; what stands between arrays of a cache and the kernel."""

from dataclasses import replace

import numpy as np

from feature_cache import Features, TextSet
from score.checks import check_features, check_segments, check_text
from score.choices import KERNEL_STREAMS, STREAMS
from score.common_parameters import WINDOWS
from score.config import ScoreConfig
from score.kernels.from_logits import clip_workspace
from score.kernels.scorer import kernel_setting
from score.kernels.traces import trace_clips
from score.logits import make_logits
from score.rules.base import Traced

_PLACES = np.array([STREAMS.index(name) for name in KERNEL_STREAMS])


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
        positive = np.zeros((clips, len(STREAMS), labels), np.uint64)
        trace_clips(
            batch.image,
            batch.video,
            batch.audio,
            batch.sound,
            batch.given,
            batch.cosine,
            batch.missing,
            self._setting,
            _PLACES,
            clip_workspace(labels, segments, batch.sound.shape[1]),
            np.zeros((segments, labels)),
            probability,
            threshold,
            positive,
        )
        return Traced(features.rows, probability, threshold, positive)

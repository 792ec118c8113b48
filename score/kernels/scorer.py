"""Scorer: one setting, ready for batches of clips; what stands between arrays of a cache and the kernels."""

from contextlib import suppress
from queue import Empty, SimpleQueue

import numpy as np

from feature_cache import NO_PICTURE, NO_SOUND, Features, TextSet
from score.checks import check_features, check_segments, check_text, check_windows
from score.choices import (
    AUDIO,
    AUDIOVISUAL,
    DECISIONS,
    FUSIONS,
    JOINT,
    KERNEL_STREAMS,
    LATE,
    METHODS,
    STREAMS,
    VISUAL,
)
from score.common_parameters import CLIP
from score.config import ScoreConfig
from score.kernels.from_embeddings import EmbeddingsWorkspace, embeddings_workspace, score_embeddings
from score.kernels.from_logits import ClipEvents, Setting, clip_workspace, empty_events, gather, score_clips
from score.kernels.label_shift import decay_table
from score.kernels.similarity import pad_text, stored_bits
from score.logits import Logits, alphabetical, joint_logits, make_logits, missing_bits
from score.rules.base import Part

_ORDER = np.array([KERNEL_STREAMS.index(name) for name in STREAMS])


class Scorer:
    """One setting and one text set, ready for batches of clips from any number of threads."""

    def __init__(self, config: ScoreConfig, text: TextSet, segments: int) -> None:
        """Prepare.

        Raises:
            ScoreError: more than 64 segments a clip, or a text set without a row for each label.
        """
        check_segments(segments)
        check_text(text)
        self._text, self._segments = text, segments
        self._pooled, self._sound = config.pooled_windows, config.sound
        self._joint = config.audiovisual == JOINT
        self._setting = kernel_setting(config, segments)
        self._label_order = alphabetical(text.labels)
        self._visual, self._audio = pad_text(text.visual), pad_text(text.audio)
        self._workspaces: SimpleQueue[tuple[EmbeddingsWorkspace, ClipEvents]] = SimpleQueue()

    def score(self, features: Features) -> Part:
        """Events of a batch of clips.

        Raises:
            ScoreError: shapes or dtypes do not fit each other or the text set, or windows are missing.
        """
        check_features(features, self._text, self._segments)
        if not self._pooled:
            check_windows(self._segments, features.video.shape[1], features.audio.shape[1])
        if features.visual_probability is not None or self._sound != CLIP or not features.video.size:
            # more than windows is known, or less: from logits on, as a search does
            return self._part(features, self._score_logits(make_logits(features, self._text, self._sound)))
        workspace, events = self._workspace(features)
        score_embeddings(
            stored_bits(features.image),
            stored_bits(features.video),
            stored_bits(features.audio)[:, :, None],
            missing_bits(features),
            self._visual,
            self._audio,
            self._setting,
            self._label_order,
            workspace,
            events,
        )
        part = self._part(features, events)
        self._workspaces.put((workspace, events))
        return part

    def _score_logits(self, batch: Logits) -> ClipEvents:
        """Events of clips from their logits."""
        clips, segments, labels = batch.image.shape
        events = empty_events(clips, labels, segments)
        score_clips(
            batch.image,
            batch.video,
            batch.audio,
            batch.sound,
            batch.given,
            batch.cosine,
            batch.missing,
            self._setting,
            self._label_order,
            clip_workspace(labels, segments, batch.sound.shape[1]),
            events,
        )
        return events

    def _read_joint(self, features: Features, events: ClipEvents) -> None:
        """Audiovisual events from joint embeddings (4.3); in clips without picture or sound those of what is there."""
        clips, missing = len(features), missing_bits(features)
        joint = self._score_logits(joint_logits(features, self._text))
        for target, source in zip(events, joint, strict=True):
            target[:clips, AUDIOVISUAL] = source[:clips, VISUAL]
            for bit, left in ((NO_PICTURE, AUDIO), (NO_SOUND, VISUAL)):
                rows = np.flatnonzero(missing == bit)
                target[rows, AUDIOVISUAL] = target[rows, left]

    def _part(self, features: Features, events: ClipEvents) -> Part:
        if self._joint:
            self._read_joint(features, events)
        clips = len(features)
        total = int(events.counts[:clips].sum())
        table, scores = np.empty((total, 5), np.int64), np.empty(total)
        gather(events, clips, _ORDER, table, scores)
        return features.rows, table, scores

    def _workspace(self, features: Features) -> tuple[EmbeddingsWorkspace, ClipEvents]:
        clips, segments, visual_dim = features.image.shape
        _, windows, audio_dim = features.audio.shape
        labels = len(self._label_order)
        with suppress(Empty):
            workspace, events = self._workspaces.get_nowait()
            there = workspace.video.logits.shape  # windows and frames may be others than of the batch before
            if len(events.counts) >= clips and there == (windows, features.video.shape[2], labels):
                return workspace, events
        return (
            embeddings_workspace(labels, segments, windows, features.video.shape[2], visual_dim, audio_dim),
            empty_events(clips, labels, segments),
        )


def kernel_setting(config: ScoreConfig, segments: int) -> Setting:
    """A configuration as the kernels take it."""
    return Setting(
        alpha=config.alpha,
        filter_threshold=config.filter_threshold,
        threshold_stage1=config.threshold_stage1,
        threshold_stage2=config.threshold_stage2,
        decay=decay_table(config.gamma, segments, config.label_shift_iters),
        method=METHODS.index(config.method),
        late=config.fusion == FUSIONS[LATE] or config.audiovisual == JOINT,  # which is parsed apart: no mixture
        label_selection=config.label_selection,
        refinement=config.refinement,
        decision=DECISIONS.index(config.decision),
        passes=config.label_shift_iters,
        pooled=config.pooled_windows,
    )

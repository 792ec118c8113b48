"""Sweep: a batch of AV²A's settings over clips; what stands between a search and ``score.kernels.sweep``."""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from score.checks import check_windows
from score.choices import DECISIONS, JOINT, LABELS, ONE_LABEL
from score.config import ScoreConfig
from score.errors import ScoreError
from score.kernels.sweep import sweep_clips
from score.kernels.sweep_one_label import sweep_one_label
from score.kernels.sweep_passes import (
    AUDIOVISUAL_FIGURES,
    ONE_LABEL_FIGURES,
    UNIMODAL_FIGURES,
    Fixed,
    Passes,
    SweepWorkspace,
    sweep_workspace,
)
from score.logits import Logits
from score.reading import Reading
from score.rules.base import Split
from score.tuning.plan import make_plan, no_passes

_NAME = "av2a"


class Sweep:
    """A batch of S settings, ready for clips from any number of threads (:class:`score.rules.base.SweepsSettings`).

    Attributes:
        plan: what is done for it.
    """

    def __init__(self, settings: NDArray[Any], config: ScoreConfig, reading: Reading, segments: int) -> None:
        """Plan it.

        Args:
            settings: structured (S,) of a space's dtype.
            config: what is fixed, as it applies to the cache.
            reading: how predictions are read.
            segments: T.
        """
        self._reading, self._config, self._segments = reading, config, segments
        self._joint = config.audiovisual == JOINT
        self.plan = make_plan(settings, config.label_shift_iters, segments, mixes=not self._joint)
        self._nothing = no_passes(settings)
        self._fixed = Fixed(
            label_selection=config.label_selection,
            refinement=config.refinement,
            decision=DECISIONS.index(config.decision),
            passes=config.label_shift_iters,
            pooled=config.pooled_windows,
        )

    def sums(self, parts: Iterable[Split]) -> NDArray[np.float64]:
        """As :meth:`score.rules.base.SweepsSettings.sums`.

        Raises:
            ScoreError: clips of another number of segments, or without windows that refinement needs.
        """
        plan, reading = self.plan, self._reading
        alone, both = len(plan.unimodal.threshold_stage2), len(plan.audiovisual.threshold_stage2)
        if reading.code == LABELS:
            unimodal, audiovisual = np.zeros((alone, UNIMODAL_FIGURES)), np.zeros((both, AUDIOVISUAL_FIGURES))
        else:
            unimodal = np.zeros((alone, reading.groups, ONE_LABEL_FIGURES))
            audiovisual = np.zeros((both, reading.groups, ONE_LABEL_FIGURES))
        for part in parts:
            self._add(part, unimodal, audiovisual)
        early = plan.audiovisual_leaf >= 0
        single = unimodal[plan.unimodal_leaf]
        fused = single if reading.code != LABELS else single[:, 6:].copy()
        fused[early] = audiovisual[plan.audiovisual_leaf[early]]
        if reading.code != LABELS:
            return fused[..., : reading.columns // reading.groups].reshape(len(fused), -1)
        return np.column_stack([*single.T[:2], fused[:, 0], *single.T[2:5], fused[:, 1], single[:, 5]])

    def _add(self, part: Split, unimodal: NDArray[np.float64], audiovisual: NDArray[np.float64]) -> None:
        """Add the figures of each leaf of the plan: float64 (L, ...) and (L', ...)."""
        logits, plan, config = part.logits, self.plan, self._config
        if part.segments != self._segments:
            raise ScoreError(f"clips of {part.segments} segments, expected {self._segments} as the cache has")
        if part.group.max(initial=0) >= self._reading.groups:
            raise ScoreError(f"group {part.group.max()} of a clip, expected one below {self._reading.groups}")
        if self._reading.code == ONE_LABEL and not part.classes.shape[1]:
            raise ScoreError("no labels of segments to compare with")
        if not config.pooled_windows:
            check_windows(part.segments, logits.video.shape[1], logits.audio.shape[1])
        if not self._joint:
            self._sweep(part, logits, plan.unimodal, plan.audiovisual, unimodal, audiovisual)
            return
        if not logits.joint.shape[1]:
            raise ScoreError("there are no logits of joint embeddings: use `audiovisual='mixed'`")
        if self._reading.code == LABELS:
            self._sweep(part, logits, plan.unimodal, self._nothing, unimodal, audiovisual)
        for start, end, whole in _runs(logits.missing == 0):  # clip after clip, as sums are in their order
            some = part.part(start, end)
            rows = some.logits.joint_alone if whole else some.logits
            self._sweep(some, rows, self._nothing, plan.audiovisual, unimodal, audiovisual)

    def _sweep(
        self,
        part: Split,
        logits: Logits,
        alone: Passes,
        both: Passes,
        unimodal: NDArray[np.float64],
        audiovisual: NDArray[np.float64],
    ) -> None:
        """Add the figures of passes over picture and sound alone, and over both."""
        clips = (
            logits.image, logits.video, logits.audio, logits.sound, logits.given, logits.cosine, logits.missing,
        )  # fmt: skip
        passes = (alone, both, self.plan.decays, self._fixed, part.label_order)
        workspaces = part.kept.setdefault(_NAME, SimpleQueue())
        workspace = _workspace(workspaces, part)
        try:
            if self._reading.code == LABELS:
                sweep_clips(*clips, part.true, *passes, workspace, unimodal, audiovisual)
            else:
                truth = (part.first, part.classes, part.group, self._reading.code, part.background)
                sweep_one_label(*clips, *truth, *passes, workspace, unimodal, audiovisual)
        finally:
            workspaces.put(workspace)


def _runs(flags: NDArray[np.bool_]) -> Iterator[tuple[int, int, bool]]:
    """Runs of equal flags: start, end, flag."""
    edges = [0, *(np.flatnonzero(np.diff(flags)) + 1).tolist(), len(flags)]
    for start, end in pairwise(edges):
        if end > start:
            yield start, end, bool(flags[start])


def _workspace(workspaces: "SimpleQueue[SweepWorkspace]", split: Split) -> SweepWorkspace:
    try:
        return workspaces.get_nowait()
    except Empty:
        labels, sounds = len(split.label_order), split.logits.sound.shape[1]
        return sweep_workspace(labels, split.segments, sounds, split.thread_bytes)


def least_workspace(labels: int, segments: int, sounds: int) -> int:
    """Bytes of a thread's workspace with as few label subsets as there may be."""
    return _size(sweep_workspace(labels, segments, sounds, 1))


def _size(found: Any) -> int:
    """Bytes of all arrays of nested tuples."""
    return sum(map(_size, found)) if isinstance(found, tuple) else int(found.nbytes)

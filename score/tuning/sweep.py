"""Sweep: a batch of AV²A's settings over clips; what stands between a search and ``score.kernels.sweep``."""

from collections.abc import Iterable
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from feature_cache import FeatureCache
from score.checks import check_windows
from score.choices import DECISIONS, LABELS, ONE_LABEL
from score.errors import ScoreError
from score.kernels.sweep import sweep_clips
from score.kernels.sweep_figures import (
    AUDIOVISUAL_FIGURES,
    UNIMODAL_FIGURES,
    Fixed,
    SweepWorkspace,
    sweep_workspace,
)
from score.reading import Reading
from score.rules.base import Split
from score.settings import fitting
from score.tuning.plan import make_plan

if TYPE_CHECKING:
    from score.tuning.space import Space

_NAME = "av2a"


class Sweep:
    """A batch of S settings, ready for clips from any number of threads (:class:`score.rules.base.SweepsSettings`)."""

    def __init__(self, settings: NDArray[Any], space: "Space", cache: FeatureCache, reading: Reading) -> None:
        """Plan it.

        Args:
            settings: structured (S,) of the space's dtype.
            space: for what is fixed.
            cache: whose windows may be missing.
            reading: how predictions are read.
        """
        self._reading = reading
        config = space.start
        self._segments = cache.segments
        self._plan = make_plan(settings, config.label_shift_iters, cache.segments)
        self._config = fitting(cache, config.replace(method="naive"))

    def sums(self, parts: Iterable[Split]) -> NDArray[np.float64]:
        """As :meth:`score.rules.base.SweepsSettings.sums`.

        Raises:
            ScoreError: clips of another number of segments, or without windows that refinement needs.
        """
        plan = self._plan
        unimodal = np.zeros((len(plan.unimodal.threshold_stage2), self._reading.groups, UNIMODAL_FIGURES))
        audiovisual = np.zeros((len(plan.audiovisual.threshold_stage2), self._reading.groups, AUDIOVISUAL_FIGURES))
        for part in parts:
            self._add(part, unimodal, audiovisual)
        alone = unimodal[plan.unimodal_leaf]
        both = alone[..., UNIMODAL_FIGURES - AUDIOVISUAL_FIGURES :].copy()
        early = plan.audiovisual_leaf >= 0
        both[early] = audiovisual[plan.audiovisual_leaf[early]]
        if self._reading.code != LABELS:
            return both[..., : self._reading.columns // self._reading.groups].reshape(len(both), -1)
        alone, both = alone[:, 0], both[:, 0]
        return np.column_stack([*alone.T[:2], both[:, 0], *alone.T[2:5], both[:, 1], alone[:, 5]])

    def _add(self, part: Split, unimodal: NDArray[np.float64], audiovisual: NDArray[np.float64]) -> None:
        """Add the figures of each leaf of the plan: float64 (L, G, 9) and (L', G, 3)."""
        logits, plan, config = part.logits, self._plan, self._config
        if part.segments != self._segments:
            raise ScoreError(f"clips of {part.segments} segments, expected {self._segments} as the cache has")
        if part.group.max(initial=0) >= self._reading.groups:
            raise ScoreError(f"group {part.group.max()} of a clip, expected one below {self._reading.groups}")
        if self._reading.code == ONE_LABEL and not part.classes.shape[1]:
            raise ScoreError("no labels of segments to compare with")
        if not config.pooled_windows:
            check_windows(part.segments, logits.video.shape[1], logits.audio.shape[1])
        fixed = Fixed(
            label_selection=config.label_selection,
            refinement=config.refinement,
            decision=DECISIONS.index(config.decision),
            passes=config.label_shift_iters,
            reading=self._reading.code,
            background=part.background,
            pooled=config.pooled_windows,
        )
        workspaces = part.kept.setdefault(_NAME, SimpleQueue())
        workspace = _workspace(workspaces, part)
        try:
            sweep_clips(
                logits.image,
                logits.video,
                logits.audio,
                logits.sound,
                logits.given,
                logits.cosine,
                logits.missing,
                part.true,
                part.first,
                part.classes,
                part.group,
                plan.unimodal,
                plan.audiovisual,
                plan.decays,
                fixed,
                part.label_order,
                workspace,
                unimodal,
                audiovisual,
            )
        finally:
            workspaces.put(workspace)


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

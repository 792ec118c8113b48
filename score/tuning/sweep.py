"""Sweep: a batch of AV²A's settings over clips; what stands between a search and ``score.kernels.sweep``."""

from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from feature_cache import FeatureCache
from score.choices import DECISIONS
from score.kernels.sweep import MIXED_FIGURES, SIDE_FIGURES, Fixed, SweepRoom, sweep_clips, sweep_room
from score.rules.base import Split
from score.settings import fitting
from score.tuning.plan import make_plan

if TYPE_CHECKING:
    from score.tuning.space import Space

_NAME = "av2a"


class Sweep:
    """A batch of S settings, ready for clips from any number of threads (:class:`score.rules.base.SweepsSettings`)."""

    def __init__(self, settings: NDArray[Any], space: "Space", cache: FeatureCache) -> None:
        """Plan it.

        Args:
            settings: structured (S,) of the space's dtype.
            space: for what is fixed.
            cache: whose windows may be missing.
        """
        config = space.start
        self._plan = make_plan(settings, config.label_shift_iters, cache.segments)
        self._config = fitting(cache, config.replace(method="naive"))

    def sums(self, split: Split, start: int, end: int) -> NDArray[np.float64]:
        """Sums over some clips, as fractions: float64 (S, 9).

        Segment level visual, audio, audiovisual, Event@AV; event level likewise; accuracy.
        """
        part, logits, plan = slice(start, end), split.logits, self._plan
        config = self._config
        fixed = Fixed(
            label_selection=config.label_selection,
            refinement=config.refinement,
            decision=DECISIONS.index(config.decision),
            passes=config.label_shift_iters,
            accuracy=split.one_event,
            pooled=config.pooled_windows,
        )
        side = np.zeros((len(plan.sides.threshold_stage2), SIDE_FIGURES))
        mixed = np.zeros((len(plan.mixed.threshold_stage2), MIXED_FIGURES))
        rooms = split.kept.setdefault(_NAME, SimpleQueue())
        room = _room(rooms, split)
        try:
            sweep_clips(
                logits.image[part],
                logits.video[part],
                logits.audio[part],
                logits.sound[part],
                logits.given,
                logits.cosine[part],
                logits.missing[part],
                split.true[part],
                split.first[part],
                plan.sides,
                plan.mixed,
                plan.decays,
                fixed,
                split.label_order,
                room,
                side,
                mixed,
            )
        finally:
            rooms.put(room)
        sides = side[plan.side_leaf]
        both = sides[:, 6:9].copy()
        early = plan.mixed_leaf >= 0
        both[early] = mixed[plan.mixed_leaf[early]]
        columns = [*sides.T[:2], both[:, 0], *sides.T[2:5], both[:, 1], sides[:, 5], both[:, 2]]
        return np.column_stack(columns)


def _room(rooms: "SimpleQueue[SweepRoom]", split: Split) -> SweepRoom:
    try:
        return rooms.get_nowait()
    except Empty:
        return sweep_room(len(split.label_order), split.segments, split.logits.sound.shape[1])

"""Plans: a batch of settings as the passes that a sweep makes, nothing twice."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from score.choices import METHODS
from score.kernels.label_shift import decay_table
from score.kernels.sweep_passes import Passes


@dataclass(frozen=True)
class Plan:
    """Passes of a batch of S settings.

    Attributes:
        unimodal: passes over picture and sound alone, L leaves.
        audiovisual: passes over both (early fusion), L' leaves.
        decays: float64 (G, most), a row for each gamma.
        unimodal_leaf: int64 (S,), each setting's leaf in ``unimodal``.
        audiovisual_leaf: int64 (S,), its leaf in ``audiovisual``; -1 for late fusion.
    """

    unimodal: Passes
    audiovisual: Passes
    decays: NDArray[np.float64]
    unimodal_leaf: NDArray[np.int64]
    audiovisual_leaf: NDArray[np.int64]


def make_plan(settings: NDArray[Any], passes: int, segments: int, *, mixes: bool = True) -> Plan:
    """Plan a batch of settings.

    Args:
        settings: structured (S,) of the space's dtype.
        passes: of label shift over the segments.
        segments: T.
        mixes: whether alpha has a say in the audiovisual stream.
    """
    gammas, decay = np.unique(settings["gamma"], return_inverse=True)
    decays = np.stack([decay_table(float(gamma), segments, passes) for gamma in gammas])
    method = np.zeros(len(settings), dtype=np.int64)
    for code, name in enumerate(METHODS):
        method[settings["method"] == name] = code
    late = settings["fusion"] == "late"
    unimodal, unimodal_leaf = _passes(settings, method, decay, np.zeros(len(settings)), late)
    early = np.flatnonzero(~late)
    alpha = settings["alpha"][early] if mixes else np.zeros(len(early))
    audiovisual, leaf = _passes(settings[early], method[early], decay[early], alpha, late[early])
    audiovisual_leaf = np.full(len(settings), -1, dtype=np.int64)
    audiovisual_leaf[early] = leaf
    return Plan(
        unimodal=unimodal,
        audiovisual=audiovisual,
        decays=decays,
        unimodal_leaf=unimodal_leaf,
        audiovisual_leaf=audiovisual_leaf,
    )


def no_passes(settings: NDArray[Any]) -> Passes:
    """Passes of none of a batch's settings."""
    none = np.zeros(0, np.int64)
    return _passes(settings[:0], none, none, np.zeros(0), np.zeros(0, dtype=bool))[0]


def _passes(
    settings: NDArray[Any],
    method: NDArray[np.int64],
    decay: NDArray[np.int64],
    alpha: NDArray[np.float64],
    late: NDArray[np.bool_],
) -> tuple[Passes, NDArray[np.int64]]:
    """Passes and each setting's leaf; sorted by label selection, then alpha, so that tables are made once."""
    columns = (
        -settings["threshold_stage2"],
        settings["threshold_stage1"],
        decay,
        method,
        alpha,
        settings["filter_threshold"],
    )
    order = np.lexsort(columns)
    changed = np.zeros(len(order), dtype=bool)
    new_pass = np.zeros(len(order), dtype=bool)
    for number, column in enumerate(columns):
        ordered = column[order]
        differs = np.ones(len(order), dtype=bool)
        differs[1:] = ordered[1:] != ordered[:-1]
        changed |= differs
        if number > 0:
            new_pass |= differs
    leaf_of = np.empty(len(order), dtype=np.int64)
    leaf_of[order] = np.cumsum(changed) - 1
    leaf_rows = order[changed]
    pass_rows = order[new_pass]
    pass_number = np.cumsum(new_pass) - 1
    wants_late = np.zeros(len(pass_rows), dtype=bool)
    np.logical_or.at(wants_late, pass_number, late[order])
    first = np.append(np.flatnonzero(new_pass[changed]), len(leaf_rows)).astype(np.int64)
    return (
        Passes(
            method=np.ascontiguousarray(method[pass_rows]),
            filter_threshold=np.ascontiguousarray(settings["filter_threshold"][pass_rows]),
            alpha=np.ascontiguousarray(alpha[pass_rows]),
            threshold_stage1=np.ascontiguousarray(settings["threshold_stage1"][pass_rows]),
            decay=np.ascontiguousarray(decay[pass_rows]).astype(np.int64),
            first=first,
            threshold_stage2=np.ascontiguousarray(settings["threshold_stage2"][leaf_rows]),
            late=wants_late,
        ),
        leaf_of,
    )

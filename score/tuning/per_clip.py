"""A setting for each clip, chosen by what needs no annotation: learned on one split, judged on another."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from score.bootstrap import RESAMPLES, interval_ends
from score.comparison import is_clear, signed, with_interval
from score.datasets.base import Floats
from score.datasets.measured import added_up
from score.errors import ScoreError
from score.evaluation import as_json_numbers
from score.rules.base import Split
from score.tuning.clip_features import NAMES, clip_features
from score.tuning.held import HeldSplit
from score.tuning.policies import MOST_CANDIDATES, RECIPES, Learned, Recipe, Rows, cross_validate, learn
from score.tuning.report import aligned, figure_text
from score.tuning.space import Space
from score.tuning.sweeper import Sweeper

SETTINGS_AT_ONCE = 1024
"""Settings of a search among which candidates are looked for, at most."""
_CLIPS = 8192
"""Clips that are learned from, at most; clips for which settings are chosen at a time."""
_KINDS = ("one", "policy", "ceiling")


@dataclass(frozen=True)
class PerClipSplit:
    """The objective on the clips of one split, with 95 % percentile bootstrap intervals over clips, in percent.

    Attributes:
        split: the split's name.
        clips: that were measured.
        figures: of "one" (the one best setting), "policy" and "ceiling" (the best candidate of each clip): mean and the
            ends of its interval.
        gain: of the policy over the one best setting: difference and the ends of its interval, paired over clips.
    """

    split: str
    clips: int
    figures: dict[str, tuple[float, float, float]]
    gain: tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class PerClipReport:
    """What a setting for each clip is worth, beside one setting for all.

    Attributes:
        objective: the figure.
        recipe: how the policy was learned, as cross-validation chose it.
        candidates: settings of which the best for each clip is the ceiling.
        tuned: the split that was learned from; the policy's figures are those of cross-validation.
        reported: the split that was kept aside.
        clip_ids: of the split that was kept aside.
        choices: int64 (clips,), the setting chosen for each of them: its row in the search's result.
        validated: gain in cross-validation of ``recipe``, or of the best that was not better by enough, and its
            standard error.
    """

    objective: str
    recipe: Recipe
    candidates: int
    tuned: PerClipSplit
    reported: PerClipSplit
    clip_ids: tuple[str, ...]
    choices: Rows
    validated: tuple[float, float]

    @property
    def gains(self) -> bool:
        """Whether the policy is better on the split that was kept aside: the interval of its gain lies above 0."""
        return self.reported.gain[1] > 0

    def table(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Header and rows for people, the split learned from first; a gain is marked whose interval does not hold 0."""
        splits = (self.tuned, self.reported)
        names = ("one setting", f"a setting for each clip ({self.recipe})", "ceiling (best for each clip)")
        rows = [
            (name, *(figure_text(*each.figures[kind]) for each in splits))
            for kind, name in zip(_KINDS, names, strict=True)
        ]
        rows.append(("gain of a setting for each clip", *(with_interval(*each.gain) for each in splits)))
        return (self.objective, *(f"{each.split or 'annotated'} ({each.clips} clips)" for each in splits)), rows

    @property
    def verdict(self) -> str:
        """The same in plain words, one line."""
        where = self.reported.split or "the clips kept aside"
        if self.recipe == RECIPES[0]:
            gain, error = (f"{value:.1f}" for value in self.validated)
            return (
                "a setting for each clip does not gain: in cross-validation no policy was better than one setting by "
                f"more than two standard errors (the best by {gain}, standard error {error}), so that all clips "
                "have the same"
            )
        gain, low, high = (signed(value) for value in self.reported.gain)
        if self.gains:
            return f"a setting for each clip gains on {where}: {gain} [{low}, {high}]"
        if is_clear(*self.reported.gain[1:]):
            return f"a setting for each clip loses on {where}: {gain} [{low}, {high}]: one setting is better"
        return f"a setting for each clip does not gain on {where}: {gain} [{low}, {high}] holds 0: one setting will do"

    def to_dict(self) -> dict[str, Any]:
        """Everything, JSON-able."""

        def ends(values: tuple[float, float, float]) -> dict[str, Any]:
            return as_json_numbers(dict(zip(("value", "low", "high"), values, strict=True)))

        return {
            "objective": self.objective,
            "policy": asdict(self.recipe),
            "candidates": self.candidates,
            "validated": dict(zip(("gain", "standard_error"), self.validated, strict=True)),
            "splits": [
                {
                    "split": each.split,
                    "clips": each.clips,
                    **{kind: ends(values) for kind, values in each.figures.items()},
                    "gain": ends(each.gain),
                }
                for each in (self.tuned, self.reported)
            ],
            "gains": self.gains,
            "verdict": self.verdict,
            "choices": dict(zip(self.clip_ids, self.choices.tolist(), strict=True)),
        }

    def __str__(self) -> str:
        """The table, columns aligned, and the verdict."""
        return f"{aligned(*self.table())}\n{self.verdict}"


def check_per_clip(splits: Sequence[HeldSplit]) -> None:
    """Refuse what cannot be learned on one split and judged on another.

    Raises:
        ScoreError: figures are no sums over clips, there is no second split, or the splits have clips in common.
    """
    splits[0].check_ceiling("per_clip")
    if len(splits) < 2:
        raise ScoreError("`per_clip=True` learns on one split and is judged on another: name that, `report_on`")
    both = set(splits[0].annotations.clip_ids) & set(splits[1].annotations.clip_ids)
    if both:
        raise ScoreError(
            f"{len(both):,} clips of `report_on` are tuned on, so that `per_clip=True` would be judged by what it "
            "learned from: report on other clips"
        )


def per_clip_bytes(settings: int, tuned: int, reported: int) -> int:
    """What it takes to learn from some of the tuned clips, and to choose and measure."""
    learned = min(tuned, _CLIPS)
    table = learned * min(settings, SETTINGS_AT_ONCE)
    at_once = min(max(learned, reported), _CLIPS)
    chosen = 8 * learned * (2 * len(RECIPES) + 256) + at_once * 8 * (4 * MOST_CANDIDATES + 256)
    return 16 * settings + 8 * 3 * table + chosen + 8 * (tuned + reported) * (len(NAMES) + 100)


def per_clip_report(
    splits: Sequence[HeldSplit], settings: NDArray[Any], values: Floats, space: Space, objective: str, seed: int = 0
) -> PerClipReport:
    """Learn a policy on the first split, and measure it on the second.

    Candidates are chosen from the best half of what is looked at, and from settings of every rank; the policy, its
    hyperparameters by cross-validation. The second split's truth is used to measure alone.

    Args:
        splits: as :func:`check_per_clip` lets them be, loaded.
        settings: structured (S,) of the space's dtype, those of the search.
        values: float64 (S,), their objective on the first split.
        space: that was searched.
        objective: name of the figure.
        seed: of folds, resamples, and of the clips that are learned from where there are very many.
    """
    tuned, reported = (each for each in splits if isinstance(each, Sweeper))
    ranked = np.argsort(-values, kind="stable")
    most = min(len(ranked), SETTINGS_AT_ONCE)
    pool = np.concatenate([ranked[: most // 2], ranked[_spread(most // 2, len(ranked), most - most // 2)]])
    column = tuned.metric_names.index(objective)
    clips, features, table = _known(tuned, settings[pool], space, column, seed)
    known = np.isfinite(table).all(axis=1)  # others are no clips of this figure
    clips, features, table = clips[known], features[known], table[known]
    validated = cross_validate(features, table, 0, seed)
    learned = learn(features, table, 0)
    more = np.setdiff1d(validated.chosen, learned.candidates)
    order = np.concatenate([learned.candidates, more])
    place = np.empty(most, dtype=np.int64)
    place[order] = np.arange(len(order))
    count = len(learned.candidates)
    on_tuned = _measured(
        tuned, clips, settings[pool[order]], space, column, place[validated.chosen], count, seed
    )  # fmt: skip
    chosen = _choose(learned, _features(reported), validated.recipe)
    everyone = np.arange(reported.n_found)
    best = settings[pool[learned.candidates]]
    on_reported = _measured(reported, everyone, best, space, column, place[chosen], count, seed)
    return PerClipReport(
        objective=objective,
        recipe=validated.recipe,
        candidates=count,
        tuned=on_tuned,
        reported=on_reported,
        clip_ids=tuple(reported.clip_ids),
        choices=pool[chosen],
        validated=(validated.gain, validated.error),
    )


def _spread(first: int, end: int, count: int) -> Rows:
    """``count`` numbers from ``first`` to ``end - 1``, evenly."""
    return np.linspace(first, end - 1, count).astype(np.int64)


def _features(held: Sweeper) -> Floats:
    """Of all clips, (n, F)."""
    found = np.empty((held.n_found, len(NAMES)))

    def look(start: int, part: Split) -> None:
        found[start : start + len(part)] = clip_features(part.logits)

    held.each_part(look)
    return found


def _known(
    held: Sweeper, settings: NDArray[Any], space: Space, column: int, seed: int
) -> tuple[Rows, Floats, Floats]:  # fmt: skip
    """Clips to learn from, int64 (n,); their features (n, F); what each setting is worth on each, (n, S)."""
    clips = np.arange(held.n_found)
    if held.n_found > _CLIPS:
        clips = np.sort(np.random.default_rng(seed).permutation(held.n_found)[:_CLIPS])
    found = np.empty((len(clips), len(settings)))

    def look(row: int, clip: int, sums: Floats) -> None:
        found[row] = _values(held, clip, sums, column)

    _each(held, clips, settings, space, look)
    return clips, _features(held)[clips], found


def _measured(
    held: Sweeper, clips: Rows, settings: NDArray[Any], space: Space, column: int, chosen: Rows, candidates: int,
    seed: int,
) -> PerClipSplit:  # fmt: skip
    """The first setting for all of some clips, those chosen for each, and the best of the first ones for each."""
    sums = np.empty((3, len(clips), held.dataset.reading.columns))

    def look(row: int, clip: int, of_clip: Floats) -> None:
        values = _values(held, clip, of_clip[:candidates], column)
        best = int(np.where(np.isnan(values), -np.inf, values).argmax())
        sums[:, row] = of_clip[[0, chosen[row], best]]

    _each(held, clips, settings, space, look)
    figures, resampled = {}, []
    with np.errstate(invalid="ignore", divide="ignore"):
        for kind, of_kind in zip(_KINDS, sums, strict=True):
            measured = added_up(held.dataset, of_kind, held.weights[clips], {})
            resampled.append(measured.resampled(RESAMPLES, seed, held.threads)[:, column : column + 1])
            figures[kind] = (measured.metrics[held.metric_names[column]], *_ends(resampled[-1]))
    gain = figures["policy"][0] - figures["one"][0]
    ends = _ends(resampled[1] - resampled[0])
    return PerClipSplit(held.annotations.split, len(clips), figures, (gain, *ends))


def _ends(resampled: Floats) -> tuple[float, float]:
    low, high = interval_ends(resampled)[0].tolist()
    return low, high


def _each(held: Sweeper, clips: Rows, settings: NDArray[Any], space: Space, look: Any) -> None:
    """Call ``look`` with row, clip and its sums under each setting, (S, K), for some clips."""
    sweep = held.sweep(settings, space)
    rows = np.full(held.n_found, -1, dtype=np.int64)
    rows[clips] = np.arange(len(clips))

    def of_part(start: int, part: Split) -> None:
        for number in np.flatnonzero(rows[start : start + len(part)] >= 0).tolist():
            clip = start + number
            look(int(rows[clip]), clip, sweep.sums([part.part(number, number + 1)]))

    held.each_part(of_part)


def _values(held: Sweeper, clip: int, sums: Floats, column: int) -> Floats:
    """What each setting is worth on a clip, (S,); NaN where the figure is of others."""
    assert held.dataset.from_sums is not None
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Floats = held.dataset.from_sums(sums, held.weights[clip])[:, column]
    return found


def _choose(learned: Learned, features: Floats, recipe: Recipe) -> Rows:
    parts = [
        learned.choose(features[start : start + _CLIPS], recipe) for start in range(0, max(1, len(features)), _CLIPS)
    ]
    return np.concatenate(parts)

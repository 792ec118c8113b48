"""Policies: which of several settings suits a clip with such features, learned from clips whose figures are known.

An instance of algorithm selection (Rice 1976): what each setting is worth on a clip is predicted from its features, by
the clips that are nearest (as Kadioglu et al. 2011) or by ridge regression, and the best prediction is taken.
"""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from score.datasets.base import Floats
from score.tuning.clip_features import Standard

Rows = NDArray[np.int64]
FOLDS = 5
LEAST_CLIPS = 10
"""With fewer nothing is learned."""
MOST_CANDIDATES = 256
_SIZES = (4, 16, 64, MOST_CANDIDATES)
_WEIGHTS = (0.25, 0.5, 1.0)
_PENALTIES = (10.0, 1.0, 0.1)
_NEIGHBOURS = (100, 50, 20, 10, 5)
_AT_ONCE = 64
_ERRORS = 2.0
"""By so many standard errors a policy has to be better: with one, every second policy of mere noise would be."""
_DIGITS = 9
"""What is beyond depends on the processor; predictions that are equal up to there are ties."""


@dataclass(frozen=True)
class Recipe:
    """How a policy is learned.

    Attributes:
        kind: "one" (the same setting for all clips), "ridge" or "knn".
        strength: penalty of the ridge, in shares of the features' variance; number of neighbours.
        candidates: settings to choose from, at most.
        weight: of what is predicted for a clip, against the mean over all clips: 0 would be "one".
    """

    kind: str = "one"
    strength: float = 0.0
    candidates: int = 1
    weight: float = 0.0

    def __str__(self) -> str:
        """A few words, as "kNN, k = 10"."""
        if self.kind == "one":
            return "the one setting for all"
        return f"kNN, k = {self.strength:.0f}" if self.kind == "knn" else f"ridge, penalty = {self.strength:g}"


RECIPES = (
    Recipe(),
    *(
        Recipe(kind, strength, size, weight)
        for size in _SIZES
        for weight in _WEIGHTS
        for kind, strengths in (("ridge", _PENALTIES), ("knn", _NEIGHBOURS))
        for strength in strengths
    ),
)
"""What is tried, the simplest first."""


def choose_candidates(table: Floats, first: int, most: int = MOST_CANDIDATES) -> Rows:
    """Settings of which one or another suits every clip.

    After the first, always the setting that raises the mean of each clip's best figure most (of equals the first), as
    long as one does. What a setting adds shrinks as others come in, so that most need not be looked at again
    (Nemhauser et al. 1978, Minoux 1978).

    Args:
        table: float64 (n, P), what each setting is worth on each clip.
        first: the setting to begin with.
        most: how many at most.

    Returns:
        int64 (A,), columns of the table.
    """
    columns = np.ascontiguousarray(table.T)
    best, chosen = columns[first].copy(), [first]
    gains = [(-np.inf, number) for number in range(len(columns)) if number != first]
    fresh = dict.fromkeys(range(len(columns)), 0)
    while gains and len(chosen) < most:
        number = heapq.heappop(gains)[1]
        if fresh[number] < len(chosen):
            now = round(float(np.maximum(columns[number] - best, 0.0).mean()), _DIGITS)
            fresh[number] = len(chosen)
            if now > 0:
                heapq.heappush(gains, (-now, number))
            continue
        np.maximum(best, columns[number], out=best)
        chosen.append(number)
    return np.array(chosen, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Learned:
    """Clips whose figures are known, and the settings to choose from.

    Attributes:
        features: float64 (n, F), as they are.
        values: float64 (n, A), what each candidate is worth on each clip; the first is the one best setting.
        candidates: int64 (A,), what the choices are called.
    """

    features: Floats
    values: Floats
    candidates: Rows

    def choices(self, features: Floats, recipes: Sequence[Recipe]) -> Iterator[tuple[int, Rows]]:
        """Number of each recipe, and whom it chooses for each of m clips, int64 (m,), by features (m, F) alone."""
        standard = Standard(self.features)
        known, asked = standard(self.features), standard(features)
        mean = self.values.mean(axis=0)
        for kind, predict in (("one", None), ("ridge", _ridge), ("knn", _nearest)):
            mine = [number for number, each in enumerate(recipes) if each.kind == kind]
            if predict is None:
                yield from ((number, np.full(len(asked), self.candidates[0])) for number in mine)
                continue
            strengths = sorted({recipes[number].strength for number in mine})
            for strength, predicted in predict(known, self.values - mean, asked, strengths):
                for number in mine:
                    if recipes[number].strength == strength:
                        size, weight = recipes[number].candidates, recipes[number].weight
                        worth = np.round(mean[:size] + weight * predicted[:, :size], _DIGITS)
                        yield number, self.candidates[worth.argmax(axis=1)]

    def choose(self, features: Floats, recipe: Recipe) -> Rows:
        """The choices of one recipe, int64 (m,)."""
        return next(chosen for _, chosen in self.choices(features, [recipe]))


def _ridge(
    known: Floats, values: Floats, asked: Floats, penalties: Sequence[float]
) -> Iterator[tuple[float, Floats]]:  # fmt: skip
    """Predictions for m clips, float64 (m, A), by each penalty; features and values have mean 0."""
    n = len(known)
    products, sides = known.T @ known / n, known.T @ values / n
    for penalty in penalties:
        yield penalty, asked @ np.linalg.solve(products + penalty * np.eye(len(products)), sides)


def _nearest(
    known: Floats, values: Floats, asked: Floats, counts: Sequence[float]
) -> Iterator[tuple[float, Floats]]:  # fmt: skip
    """The same by the mean over the nearest clips; more than there are: over all."""
    most = min(len(known), int(max(counts, default=1)))
    squares = (known**2).sum(axis=1)
    nearest = np.empty((len(asked), most), dtype=np.int64)
    for start in range(0, len(asked), _AT_ONCE):
        some = asked[start : start + _AT_ONCE]
        distance = np.round(squares - 2.0 * some @ known.T, _DIGITS)  # but for the clip's own square
        nearest[start : start + _AT_ONCE] = np.argsort(distance, axis=1, kind="stable")[:, :most]
    total, done = np.zeros((len(asked), values.shape[1])), 0
    for count in counts:
        for place in range(done, min(int(count), most)):
            total += values[nearest[:, place]]
        done = min(int(count), most)
        yield count, total / done


@dataclass(frozen=True, eq=False)
class Validated:
    """What cross-validation chose.

    Attributes:
        recipe: the best one; "one", where none is better by more than two standard errors.
        chosen: int64 (n,), the setting that it chose for each clip, learned from the other folds.
        gain: how much more it is worth than the one setting that is the best of the other folds, on average; where
            ``recipe`` is "one", the best other's.
        error: standard error of that.
    """

    recipe: Recipe
    chosen: Rows
    gain: float
    error: float


def cross_validate(features: Floats, table: Floats, first: int, seed: int = 0) -> Validated:
    """Choose a recipe on clips that are shuffled into ``FOLDS`` folds.

    Candidates and the one best setting, too, are those of the other folds. The mean figure decides, of equals the
    simplest recipe; but "one" stays where the best does not gain more than two standard errors of its gain (Breiman
    et al. 1984 take one; here many recipes are tried).

    Args:
        features: float64 (n, F).
        table: float64 (n, P), what each setting is worth on each clip.
        first: the setting that all clips get where there are too few to learn from.
        seed: of the folds.
    """
    n = len(table)
    chosen = np.full((len(RECIPES), n), first, dtype=np.int64)
    if n < LEAST_CLIPS:
        return Validated(RECIPES[0], chosen[0], 0.0, 0.0)
    fold = np.random.default_rng(seed).permutation(np.arange(n) % FOLDS)
    for number in range(FOLDS):
        apart = fold == number
        learned = learn(features[~apart], table[~apart])
        for recipe, choice in learned.choices(features[apart], RECIPES):
            chosen[recipe, apart] = choice
    worth = table[np.arange(n), chosen]
    gains = worth - worth[0]
    means = np.round(gains.mean(axis=1), _DIGITS)
    best = 1 + int(means[1:].argmax())
    error = float(gains[best].std(ddof=1)) / n**0.5
    taken = best if means[best] > _ERRORS * error else 0
    return Validated(RECIPES[taken], chosen[taken], float(means[best]), error)


def learn(features: Floats, table: Floats, first: int | None = None) -> Learned:
    """Candidates of all clips given; None: the first is the one with the best mean, of equals the first."""
    begin = int(np.round(table.mean(axis=0), _DIGITS).argmax()) if first is None else first
    candidates = choose_candidates(table, begin)
    return Learned(features, table[:, candidates], candidates)

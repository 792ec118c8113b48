"""Finder: looks for better settings than those on the page, in the background, for so many seconds."""

import threading
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_cache import Av2aError
from score.errors import ScoreError
from score.parameters import Parameters, describe
from score.rules import find_rule, rule_of
from score.tuning.held import HeldSplit
from score.tuning.result import check_objective
from score.tuning.space import Space
from score.view.desk import Desk
from score.view.told import Told
from score.view.unexpected import say_unexpected

MOST_SECONDS = 600.0
MOST_POINTS = 2000
_MOST_KEPT = 10 * MOST_POINTS
"""Settings with their objectives: of a small split there are millions in a few minutes."""
_ROUND = 256
"""Settings that are drawn at a time."""
_NEAR = 0.25
"""Of a range, where settings are drawn around the best so far."""
_DIGITS = 3


class Finder:
    """One search at a time; the settings of the page are its first, so that nothing worse is ever its best."""

    def __init__(self, desk: Desk) -> None:
        """Nothing is searched yet."""
        self._desk = desk
        self._turn = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._told = Told(running=False, done=False, tried=0, points=[], best=None)

    def start(
        self, text: str | None, config: Parameters, vary: Sequence[str], seconds: float, objective: str | None
    ) -> None:
        """Begin a search; one that is running ends first.

        Args:
            text: name of the label set.
            config: where it begins, and what stays as it is.
            vary: the parameters that vary.
            seconds: how long.
            objective: a figure's name; None: the data set's usual one.

        Raises:
            ScoreError: nothing is annotated, nothing varies, no such figure, or too long a time.
        """
        if not 0 < seconds <= MOST_SECONDS:
            raise ScoreError(f"seconds must be above 0, and at most {MOST_SECONDS:g}, got {seconds:g}")
        if config.to_dict().get("carry"):
            raise ScoreError("a search looks at clips on their own: search without `carry`")
        ranges = _ranges(config, vary)
        held, space = self._desk.held(text, config, **ranges)
        name = held.dataset.objective if objective is None else check_objective(objective, held.metric_names)
        with self._turn:
            self.stop()
            self._stop = threading.Event()
            self._told.note(
                running=True, done=False, tried=0, seconds=0.0, limit=seconds, vary=list(vary), objective=name,
                begun=None, best=None, points=[], error=None, rule=rule_of(config).name,
            )  # fmt: skip
            arguments = (held, space, config, list(vary), seconds, held.metric_names.index(name), self._stop)
            self._thread = threading.Thread(target=self._run, args=arguments, name="av2a-find", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End a search that is running; what it found stays."""
        self._stop.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    @property
    def state(self) -> dict[str, Any]:
        """How far it is, and what it found, JSON-able."""
        return self._told.now

    def _run(self, *arguments: Any) -> None:
        try:
            self._search(*arguments)
            self._told.note(running=False, done=True)
        except (Av2aError, MemoryError) as error:
            self._told.note(running=False, error=str(error) or "there is not enough memory")
        except Exception as error:
            say_unexpected("the search", error)
            self._told.note(running=False, error="the search failed: see what the terminal says")

    def _search(
        self,
        held: HeldSplit,
        space: Space,
        config: Parameters,
        vary: list[str],
        seconds: float,
        objective: int,
        stop: threading.Event,
    ) -> None:
        began, rng = time.perf_counter(), np.random.default_rng(0)
        settings = space.settings([config])
        values = _values(held.metrics(settings, space)[:, objective])
        self._told.note(begun=_shown(values[0]))
        tried, rounds = len(settings), 0
        while True:
            best = int(np.argmax(values))
            self._told.note(
                tried=tried,
                seconds=time.perf_counter() - began,
                best={"parameters": space.config(settings[best]).to_dict(), "value": _shown(values[best])},
                points=_points(settings, values, vary),
            )
            if stop.is_set() or time.perf_counter() - began >= seconds:
                return
            some = _drawn(space, config, vary, rng, settings[best] if rounds % 2 else None)
            for part in np.array_split(some, max(1, len(some) // (held.at_once or len(some)))):
                if stop.is_set() or time.perf_counter() - began >= seconds:
                    break
                settings = np.concatenate([settings, part])
                values = np.concatenate([values, _values(held.metrics(part, space)[:, objective])])
                tried += len(part)
            rounds += 1
            if len(settings) > _MOST_KEPT:
                kept = _thinned(values)
                settings, values = settings[kept], values[kept]


def _ranges(config: Parameters, vary: Sequence[str]) -> dict[str, Any]:
    """What each parameter that varies may be: the range over which its rule is tuned, the value of now included.

    Raises:
        ScoreError: nothing varies, or something that a search cannot vary.
    """
    rule = rule_of(config)
    known, tuned = describe(rule.parameters), rule.tuning(config.to_dict())
    if not vary:
        raise ScoreError("nothing varies: choose the parameters that a search may change")
    found: dict[str, Any] = {}
    for name in vary:
        each = known.get(name)
        if each is None or not each.searched:
            raise ScoreError(f"{str(name)[:60]!r} is nothing that a search of rule {rule.name} varies")
        now = getattr(config, name)
        if each.kind == "choice":
            found[name] = list(dict.fromkeys([now, *each.names]))
            continue
        high = each.high if each.high < float("inf") else 4.0 * max(abs(now), abs(each.default or 0.0), 0.25)
        ends = [float(part) for part in tuned[name].split(",")] if name in tuned else [each.low, high]
        found[name] = [now, min([*ends, now]), max([*ends, now])]
    return found


def _drawn(
    space: Space, config: Parameters, vary: Sequence[str], rng: np.random.Generator, near: Any
) -> NDArray[Any]:  # fmt: skip
    """Settings of a Latin hypercube: each number in every part of its range once; some around one setting."""
    found = np.repeat(space.settings([config]), _ROUND)
    for name in vary:
        values = getattr(space, name)
        units = (rng.permutation(_ROUND) + rng.random(_ROUND)) / _ROUND
        if name in space.choices:
            found[name] = np.array(values)[(units * len(values)).astype(int)]
            if near is not None:
                stays = rng.random(_ROUND) < 0.5
                found[name][stays] = near[name]
            continue
        low, high = min(values), max(values)
        if near is not None:
            reach = _NEAR * (high - low)
            low, high = max(low, near[name] - reach), min(high, near[name] + reach)
        known = describe(find_rule(space.rule).parameters)[name]
        rounded = np.round(low + units * (high - low), _DIGITS)
        found[name] = np.clip(rounded, known.low, known.high)
    slowest = next((name for name in find_rule(space.rule).slowest_first if name in vary), vary[0])
    return found[np.argsort(found[slowest], kind="stable")]


def _points(settings: NDArray[Any], values: NDArray[np.float64], vary: Sequence[str]) -> list[list[Any]]:
    """The best, best first, then others, evenly drawn: what varies, and the objective."""
    order = _thinned(values)
    columns = [settings[name][order].tolist() for name in vary]
    return [[*point, _shown(value)] for *point, value in zip(*columns, values[order].tolist(), strict=True)]


def _thinned(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Which of many objectives are kept: the best, best first, then others, evenly drawn."""
    order = np.argsort(-values, kind="stable")
    if len(order) > MOST_POINTS:
        best, rest = order[: MOST_POINTS // 2], order[MOST_POINTS // 2 :]
        order = np.concatenate([best, rest[np.linspace(0, len(rest) - 1, MOST_POINTS // 2).astype(int)]])
    return order


def _values(column: NDArray[np.float64]) -> NDArray[np.float64]:
    """Objectives to compare: what is not defined is below all."""
    return np.where(np.isnan(column), -np.inf, column)


def _shown(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None

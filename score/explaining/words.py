"""How explanations speak: numbers, seconds of the clip, and sentences that several rules need."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from feature_cache import NO_PICTURE, NO_SOUND
from feature_cache.names import shortened
from score.reference.runs import Segments, runs_of

_DIGITS, _MOST_DIGITS = 3, 17
ONE_SOUND = "the sound of the whole clip stands for every segment"


def figure(value: float, digits: int = _DIGITS) -> str:
    """A number for people."""
    if math.isnan(value):
        return "none"
    text = f"{value:.{digits}g}"
    return "0" if text == "-0" else text


def figures(*values: float) -> tuple[str, ...]:
    """Numbers beside each other: with as many digits as it takes that those that differ look so."""
    for digits in range(_DIGITS, _MOST_DIGITS + 1):
        found = tuple(figure(value, digits) for value in values)
        if len(set(found)) == len({value + 0.0 for value in values}):
            break
    return found


def quoted(label: str) -> str:
    """A label, between quotes."""
    return f'"{shortened(label, 40)}"'


@dataclass(frozen=True)
class Clock:
    """Seconds of clips.

    Attributes:
        segments: T.
        seconds: length of a segment.
    """

    segments: int
    seconds: float

    def at(self, segment: int) -> str:
        """When a segment begins."""
        return f"{segment * self.seconds:.3f}".rstrip("0").rstrip(".") + " s"

    def span(self, start: int, end: int) -> str:
        """From a segment to the one before ``end``."""
        return f"{self.at(start)} to {self.at(end)}"

    def spans(self, path: Sequence[bool]) -> str:
        """Runs of what is on."""
        return ", ".join(self.span(*run) for run in runs_of(path)) or "nowhere"

    def events(self, path: Sequence[bool]) -> str:
        """The last step: the events."""
        count = len(runs_of(path))
        return f"event{'s' if count > 1 else ''}: {self.spans(path)}" if count else "no event"


def lacks(missing: int, stream: str) -> str | None:
    """Why a clip does not have a stream; None where it does."""
    if stream == "visual" and missing & NO_PICTURE:
        return "the clip has no picture: nothing is seen"
    if stream == "audio" and missing & NO_SOUND:
        return "the clip has no sound: nothing is heard"
    return None


def stands_in(missing: int) -> str:
    """That the audiovisual stream of a clip is what is there."""
    if missing & NO_PICTURE:
        return "the clip has no picture: what is heard stands for both"
    return "the clip has no sound: what is seen stands for both"


def both_at_once(clock: Clock, visual: Sequence[bool], audio: Sequence[bool]) -> tuple[str, ...]:
    """Late fusion."""
    return (
        f"events seen: {clock.spans(visual)}",
        f"events heard: {clock.spans(audio)}",
        "late fusion: both at once",
    )


def selection(kept: bool, what: str, whole: float, least: float) -> str:
    """Whether a label is in play, by ``what`` it has of the whole clip."""
    if math.isnan(whole):
        return "not in play: logits of the whole clip are all equal, so that there is no probability"
    told, threshold = figures(whole, least)
    if kept:
        return f"kept: {what} {told} > filter threshold {threshold}"
    return f"not in play: {what} {told} does not exceed filter threshold {threshold}"


def mixed(alpha: float) -> str:
    """Early fusion."""
    return f"early fusion: {figure(1 - alpha)} of what is seen, {figure(alpha)} of what is heard"


def at_once() -> str:
    """Joint embeddings."""
    return "joint embeddings: one of picture and sound at once for each window; a segment's from those that hold it"


def above(clock: Clock, what: str, values: Sequence[float], limits: Sequence[float], path: Sequence[bool]) -> str:
    """Which segments exceed their limit; the nearest one where none does.

    Args:
        clock: of the clip.
        what: the limit, in words.
        values: what is compared; NaN for nothing.
        limits: what it has to exceed; NaN for nothing.
        path: which segments do.
    """
    if any(path):
        return f"above the {what}: {clock.spans(path)} ({sum(path)} of {len(path)} segments)"
    short = [limit - value for value, limit in zip(values, limits, strict=True)]
    known = [t for t, each in enumerate(short) if not math.isnan(each)]
    if not known:
        return f"above the {what}: nowhere, as no segment has a value"
    nearest = min(known, key=lambda t: short[t])
    value, limit = figures(values[nearest], limits[nearest])
    return f"above the {what}: nowhere; nearest at {clock.at(nearest)}, {value} against {limit}"


def run_rule_steps(clock: Clock, before: Segments, after: Segments) -> list[str]:
    """AV²A's rule of runs: what it drops and what it closes."""
    dropped = [was and not now for was, now in zip(before, after, strict=True)]
    closed = [now and not was for was, now in zip(before, after, strict=True)]
    found = [f"single segments are dropped: {clock.spans(dropped)}"] if any(dropped) else []
    return [*found, *([f"holes of one segment are closed: {clock.spans(closed)}"] if any(closed) else [])]


def median_steps(clock: Clock, before: Segments, after: Segments, width: int) -> list[str]:
    """A median filter: what it drops and what it adds."""
    dropped = [was and not now for was, now in zip(before, after, strict=True)]
    added = [now and not was for was, now in zip(before, after, strict=True)]
    found = [f"{what} {clock.spans(some)}" for what, some in (("drops", dropped), ("adds", added)) if any(some)]
    return [f"the median of {width} segments {' and '.join(found) or 'changes nothing'}"]


def penalty_steps(clock: Clock, margins: Sequence[float], path: Segments, penalty: float) -> list[str]:
    """A penalty a run: what each run gains, which holes are closed, what does not pay for a run."""
    cost, found = figure(penalty), list[str]()
    for start, end in runs_of(path):
        gain, cost = figures(sum(margins[start:end]), penalty)
        found.append(f"run {clock.span(start, end)}: its margins add up to {gain}, a run costs {cost}: on")
        below = [start <= t < end and margins[t] <= 0 for t in range(len(margins))]
        for first, last in runs_of(below):
            loss, cost = figures(-sum(margins[first:last]), penalty)
            found.append(f"hole {clock.span(first, last)}: it costs {loss}, another run {cost}: stays on")
    left = [margin > 0 and not here for margin, here in zip(margins, path, strict=True)]
    for first, last in runs_of(left):
        gain, cost = figures(sum(margins[first:last]), penalty)
        found.append(f"run {clock.span(first, last)}: its margins add up to {gain}, a run costs {cost}: off")
    return found

"""Which clips a run makes of its files: a file of a clip's length is one, a longer one is cut (docs/media.md)."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from extract.errors import ExtractError, MediaError
from extract.media.limits import TimeLimit, default_timeout
from extract.media.timeline import Timeline, timeline_of
from feature_cache import stopping

SEGMENTS = 10
"""T, segments a clip."""
TAILS = ("pad", "drop")
_WHOLE, _SHORT, _REST = "whole", "short", "rest"
_TRIFLE = 0.1
"""Seconds at a file's end that nobody misses."""
_NEAR, _NEAR_SECONDS = 0.05, 0.5


@dataclass(frozen=True)
class Cut:
    """How files become clips.

    Attributes:
        clip_seconds: length of a clip.
        stride: seconds from the begin of one clip to that of the next.
        tail: "pad" or "drop", what becomes of files, and ends of files, that are shorter than a clip.
    """

    clip_seconds: float = 10.0
    stride: float | None = None
    tail: str = "pad"

    def __post_init__(self) -> None:
        """Refuse values that are out of range.

        Raises:
            ExtractError: one is.
        """
        for name, value in (("`clip_seconds`", self.clip_seconds), ("`stride`", self.step)):
            if not 0.1 <= value <= 3600:
                raise ExtractError(f"{name} must be from 0.1 to 3600 seconds, got {value:g}")
        if self.tail not in TAILS:
            raise ExtractError(f"tail {self.tail!r}: use one of {', '.join(TAILS)}")

    @property
    def step(self) -> float:
        """Seconds from clip to clip."""
        return self.clip_seconds if self.stride is None else self.stride

    @property
    def near(self) -> float:
        """Seconds by which a file may miss a clip's length and be one clip: 5 %, or half a second."""
        return max(_NEAR * self.clip_seconds, _NEAR_SECONDS)

    @property
    def facts(self) -> dict[str, object]:
        """To be recorded in a cache."""
        return {"seconds": self.clip_seconds, "stride": self.step, "tail": self.tail}


@dataclass(frozen=True)
class ClipPlan:
    """The clips of a run.

    Attributes:
        files: file by clip id, in order.
        begins: at which second of its file a clip begins; clips that are whole files are not in it.
        cut_from: of the clips of files that were cut or padded: the file's name without ending, the second of it at
            which the clip begins and, if it is padded, that at which the file ends (docs/design.md 4.9).
        refused: why files, one clip each, cannot be used, by clip id.
        notes: what a person should know about it, a line each.
    """

    files: dict[str, Path]
    begins: dict[str, float]
    cut_from: dict[str, list[str | float]]
    refused: dict[str, str]
    notes: tuple[str, ...]


def plan_clips(files: Mapping[str, Path], cut: Cut, *, workers: int = 1, timeout: float | None = None) -> ClipPlan:
    """Find out how long files are, and make clips of them.

    A file that cannot be read is one clip, which is refused.

    Args:
        files: by name without ending.
        cut: the rules.
        workers: files looked at side by side.
        timeout: seconds that this may take for one file; None: as for decoding a clip.

    Raises:
        ExtractError: two clips would have one id, or nothing is left.
    """
    plan = ClipPlan({}, {}, {}, {}, ())
    limit = default_timeout(cut.clip_seconds) if timeout is None else timeout
    with stopping.threads(workers, "av2a-probe") as pool:
        timelines = list(pool.map(lambda path: _timeline(path, limit), files.values()))
    counts = dict.fromkeys((_SHORT, _REST, _WHOLE), 0)
    joined: list[str] = []
    for (name, path), found in zip(files.items(), timelines, strict=True):
        seconds = None if isinstance(found, MediaError) else found.seconds
        if isinstance(found, MediaError):
            plan.refused[name] = found.reason
        elif found.jumps:
            joined.append(name)
        begins, end = _begins(seconds, cut)
        counts[end] += 1
        for number, begin in enumerate(begins):
            one = seconds is None or seconds <= cut.clip_seconds + cut.near
            clip = name if one else f"{name}#{number}"
            if clip in plan.files:
                raise ExtractError(f"{path.name} and {plan.files[clip].name} both have a clip {clip}: rename one")
            plan.files[clip] = path
            if begin is not None:
                plan.begins[clip] = begin
            if seconds is None or (begin is None and one):
                continue
            place: list[str | float] = [name, begin or 0.0]
            padded = seconds - (begin or 0.0) < cut.clip_seconds
            plan.cut_from[clip] = [*place, round(seconds, 3)] if padded else place
    if not plan.files:
        raise ExtractError(
            f"every file is shorter than {cut.clip_seconds:g} s and dropped: "
            "use `tail='pad'`, or a smaller `clip_seconds`"
        )
    notes, usual = [], f"{cut.clip_seconds:g} s"
    if longer := [str(place[0]) for clip, place in plan.cut_from.items() if place[0] != clip]:
        notes.append(f"files longer than {usual}: {len({*longer})}, cut into {len(longer)} clips")
    if counts[_SHORT]:
        becomes = "padded with the last picture and silence" if cut.tail == "pad" else "dropped (`tail='drop'`)"
        notes.append(f"files and ends of files shorter than {usual}: {counts[_SHORT]}, {becomes}")
    if counts[_REST]:
        notes.append(
            f"ends of files shorter than a segment ({cut.clip_seconds / SEGMENTS:g} s): {counts[_REST]}, dropped"
        )
    if joined:
        some = ", ".join(joined[:3]) + (", …" if len(joined) > 3 else "")
        notes.append(f"files whose time stamps start again: {len(joined)} ({some}), their parts laid end to end")
    return ClipPlan(plan.files, plan.begins, plan.cut_from, plan.refused, tuple(notes))


def _begins(seconds: float | None, cut: Cut) -> tuple[list[float | None], str]:
    """Where the clips of a file begin, None: it is one as it is; and how it ends."""
    length, segment = cut.clip_seconds, cut.clip_seconds / SEGMENTS
    if seconds is None or abs(seconds - length) <= cut.near:
        return [None], _WHOLE
    found: list[float | None] = []
    if seconds < length:
        return (found if cut.tail == "drop" else [0.0]), _SHORT
    while True:
        begin = len(found) * cut.step
        left = seconds - begin
        if left < length - cut.near:
            if left < segment:
                return found, _REST if left > _TRIFLE else _WHOLE
            return (found if cut.tail == "drop" else [*found, begin]), _SHORT
        found.append(begin)
        if left <= length + min(segment, cut.near) / 2 and cut.step <= length:
            return found, _WHOLE


def _timeline(path: Path, timeout: float) -> Timeline | MediaError:
    """When a file's content is there, or why it cannot be read."""
    try:
        return timeline_of(path, TimeLimit(path, timeout))
    except MediaError as error:
        return error
    except Exception as error:  # decoders raise what they like
        return MediaError(path, f"it cannot be read ({type(error).__name__}: {error}); get it again")

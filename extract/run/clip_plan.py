"""Which clips a run makes of its files: a file of a clip's length is one, a longer one is cut (docs/media.md)."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from extract.errors import ExtractError, MediaError
from extract.media.limits import TimeLimit, default_timeout
from extract.media.timeline import Timeline, timeline_of
from extract.run.stamps import FileClips
from feature_cache import stopping

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

SEGMENTS = 10
"""T, segments a clip."""
TAILS = ("pad", "drop")
_WHOLE, _SHORT, _REST, _JOINED = 0, 1, 2, 4
"""What there is to say of a file, as bits."""
_TRIFLE = 0.1
"""Seconds at a file's end that nobody misses."""
_NEAR, _NEAR_SECONDS = 0.05, 0.5
_AT_ONCE = 4096
"""Files that wait to be looked at."""


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
        sources: the files, by id.
        of: id of the file of each clip, by clip id, in order.
        begins: at which second of its file a clip begins; clips that are whole files are not in it.
        cut_from: of the clips of files that were cut or padded: the file's name without ending, the second of it at
            which the clip begins and, if it is padded, that at which the file ends (docs/design.md 4.9).
        refused: why files, one clip each, cannot be used, by clip id.
        notes: what a person should know about it, a line each.
        looked_at: by id of the files that were looked at, and are not refused, what there is to say of their ends.
    """

    sources: Mapping[str, Path]
    of: dict[str, str] = field(default_factory=dict)
    begins: dict[str, float] = field(default_factory=dict)
    cut_from: dict[str, list[str | float]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    looked_at: dict[str, int] = field(default_factory=dict)

    @property
    def files(self) -> "ClipFiles":
        """File by clip id, in order."""
        return ClipFiles(self.sources, self.of)


@dataclass(frozen=True, eq=False)
class ClipFiles(Mapping[str, Path]):
    """File by clip id: paths are made when they are asked for, as there may be a million. Picklable."""

    sources: Mapping[str, Path]
    of: Mapping[str, str]

    def __getitem__(self, clip: str) -> Path:
        """The file of a clip."""
        return self.sources[self.of[clip]]

    def __iter__(self) -> Iterator[str]:
        """Clip ids, in order."""
        return iter(self.of)

    def __len__(self) -> int:
        """How many clips there are."""
        return len(self.of)

    def __contains__(self, clip: object) -> bool:
        """Whether a clip is one of them."""
        return clip in self.of


Known = Callable[[str], FileClips | None]


def plan_clips(
    files: Mapping[str, Path],
    cut: Cut,
    *,
    workers: int = 1,
    timeout: float | None = None,
    known: Known | None = None,
    refused: Mapping[str, str] | None = None,
) -> ClipPlan:
    """Find out how long files are, and make clips of them.

    A file that cannot be read is one clip, which is refused.

    Args:
        files: by name without ending.
        cut: the rules.
        workers: files looked at side by side.
        timeout: seconds that this may take for one file; None: as for decoding a clip.
        known: the clips of a file that need not be looked at, by its name; None of one that must.
        refused: why files are not looked at, and cannot be used.

    Raises:
        ExtractError: two clips would have one id, or nothing is left.
    """
    plan, counts, joined = ClipPlan(files, refused={**(refused or {})}), Counter[int](), list[str]()
    limit = default_timeout(cut.clip_seconds) if timeout is None else timeout
    unusable = len(plan.refused)
    with stopping.threads(workers, "av2a-probe") as pool:
        for name, found, looked_at in _of_all(pool, plan, cut, limit, known or (lambda name: None)):
            if found.refused is not None:
                plan.refused[name] = found.refused
            elif looked_at:
                plan.looked_at[name] = found.ends
            counts[found.ends & ~_JOINED] += 1
            if found.ends & _JOINED:
                joined.append(name)
            _add(plan, name, found.origins)
    if len(plan.of) <= unusable < max(1, len(files)):
        raise ExtractError(
            f"every file is shorter than {cut.clip_seconds:g} s and dropped: "
            "use `tail='pad'`, or a smaller `clip_seconds`"
        )
    return replace(plan, notes=_notes(plan, cut, counts, joined))


def _of_all(
    pool: "ThreadPoolExecutor", plan: ClipPlan, cut: Cut, limit: float, known: Known
) -> Iterator[tuple[str, FileClips, bool]]:
    """Each file's name, its clips, and whether it was looked at."""
    files = plan.sources

    def at_hand(name: str) -> FileClips | None:
        return FileClips({name: None}, _WHOLE, plan.refused[name]) if name in plan.refused else known(name)

    names = iter(files)
    while some := [(name, at_hand(name)) for name in islice(names, _AT_ONCE)]:
        timelines = pool.map(
            lambda name: _timeline(files[name], limit), [name for name, found in some if found is None]
        )
        for name, found in some:
            yield name, _clips_of(name, next(timelines), cut) if found is None else found, found is None


def _add(plan: ClipPlan, name: str, origins: Mapping[str, list[Any] | None]) -> None:
    """The clips of a file to a plan."""
    for clip, origin in origins.items():
        if clip in plan.of:
            one, other = plan.sources[name].name, plan.files[clip].name
            raise ExtractError(f"{one} and {other} both have a clip {clip}: rename one")
        plan.of[clip] = name
        if origin is not None:
            plan.cut_from[clip] = origin
            plan.begins[clip] = origin[1]


def _clips_of(name: str, found: Timeline | MediaError, cut: Cut) -> FileClips:
    """The clips that a file is to become."""
    if isinstance(found, MediaError):
        return FileClips({name: None}, _WHOLE, found.reason)
    seconds = found.seconds
    begins, end = _begins(seconds, cut)
    one = seconds <= cut.clip_seconds + cut.near
    origins: dict[str, list[str | float] | None] = {}
    for number, begin in enumerate(begins):
        origin: list[str | float] | None = None
        if begin is not None:
            padded = seconds - begin < cut.clip_seconds
            origin = [name, begin, round(seconds, 3)] if padded else [name, begin]
        origins[name if one else f"{name}#{number}"] = origin
    return FileClips(origins, end | (_JOINED if found.jumps else 0))


def _notes(plan: ClipPlan, cut: Cut, counts: Mapping[int, int], joined: list[str]) -> tuple[str, ...]:
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
    return tuple(notes)


def _begins(seconds: float, cut: Cut) -> tuple[list[float | None], int]:
    """Where the clips of a file begin, None: it is one as it is; and how it ends."""
    length, segment = cut.clip_seconds, cut.clip_seconds / SEGMENTS
    if abs(seconds - length) <= cut.near:
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

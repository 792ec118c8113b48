"""What is known of events beside themselves, and the edge at which what comes from a file is checked, once."""

import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from feature_cache import FeatureCache
from feature_cache.checks import as_origin
from score.choices import MOST_SEGMENTS, STREAMS
from score.errors import ScoreError
from score.formats.base import EventBlock, NamedEvents
from score.rules import USUAL, find_rule, rule_of

Origin = tuple[str, float, float | None]
"""The file a clip was cut from, the second at which it begins there, and that at which its content ends, if padded."""

MOST_NAME = 4096
"""Characters of a clip's id or a label."""
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=MOST_NAME)]
_Count = Annotated[int, msgspec.Meta(ge=0)]


_Seconds = Annotated[float, msgspec.Meta(ge=0, le=sys.float_info.max)]


class _AfterProcessing(msgspec.Struct, forbid_unknown_fields=True):
    """What was done with events once they were found (docs/design.md 4.10)."""

    merge_gap: _Seconds | msgspec.UnsetType = msgspec.UNSET
    min_duration: _Seconds | msgspec.UnsetType = msgspec.UNSET


class _Schema(msgspec.Struct):
    """Facts as a file has them; what is not here is passed over."""

    config: dict[str, bool | int | float | str]
    cache: dict[str, str]
    segments: Annotated[int, msgspec.Meta(ge=1)]
    segment_seconds: Annotated[float, msgspec.Meta(gt=0)]
    left_out: dict[str, _Count]
    labels: list[_Name]
    clips: list[_Name]
    missing: dict[_Name, Literal["picture", "sound"]] = {}
    clips_from: Any = msgspec.field(default_factory=dict)
    stitched: bool = False
    rule: str = USUAL
    approximate: bool | None = None
    approximation: str = ""
    after_processing: _AfterProcessing = msgspec.field(default_factory=_AfterProcessing)


@dataclass(frozen=True, eq=False)
class EventFacts:
    """What is known of events beside themselves.

    Attributes:
        config: the settings that gave them; None for events that a file lists without saying how they were found.
        clip_ids: the clips that were scored, events or not; of stitched events, the files.
        labels: C class names as the user wrote them.
        segments: T, segments a clip.
        segment_seconds: length of a segment in seconds.
        cache: identity, backbone and text set of the cache that was scored.
        left_out: number of the cache's clips that were not scored, by status.
        missing: by clip id, "picture" or "sound": what a clip was scored without.
        clips_from: by clip id, where clips were cut from longer files.
        stitched: whether events lie on the timelines of files.
        after_processing: what was done with events once they were found, "merge_gap" and "min_duration" in seconds
            (docs/design.md 4.10); a name is there if it was.
    """

    config: Any
    clip_ids: tuple[str, ...]
    labels: tuple[str, ...]
    segments: int
    segment_seconds: float
    cache: dict[str, str]
    left_out: dict[str, int]
    missing: dict[str, str] = field(default_factory=dict)
    clips_from: dict[str, Origin] = field(default_factory=dict)
    stitched: bool = False
    after_processing: dict[str, float] = field(default_factory=dict)

    @property
    def settings(self) -> dict[str, Any]:
        """``config``, JSON-able; empty where there is none."""
        return {} if self.config is None else self.config.to_dict()

    @property
    def inferred(self) -> str:
        """What of the rule that found the events its source leaves open, one line; empty for nothing."""
        return "" if self.config is None else rule_of(self.config).inferred

    @property
    def approximation(self) -> str:
        """What is approximate in the events, one line; empty where nothing is known to be."""
        return "" if self.config is None else self.config.approximation

    def to_dict(self) -> dict[str, Any]:
        """Everything, JSON-able."""
        approximation, rule = self.approximation, USUAL if self.config is None else rule_of(self.config).name
        return {
            **({} if rule == USUAL else {"rule": rule}),
            "config": self.settings,
            "approximate": bool(approximation),
            **({"approximation": approximation} if approximation else {}),
            **({"inferred": self.inferred} if self.inferred else {}),
            **({"after_processing": self.after_processing} if self.after_processing else {}),
            "cache": self.cache,
            "segments": self.segments,
            "segment_seconds": self.segment_seconds,
            "left_out": self.left_out,
            "missing": self.missing,
            "stitched": self.stitched,
            "clips_from": {
                clip: [part for part in place if part is not None] for clip, place in self.clips_from.items()
            },
            "labels": list(self.labels),
            "clips": list(self.clip_ids),
        }

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`to_dict`.

        Raises:
            ScoreError: it is something else, or damaged.
        """
        try:
            facts = msgspec.convert(found, _Schema)
        except (msgspec.ValidationError, RecursionError) as error:
            raise _damaged(error) from error
        for what, names in (("clip", facts.clips), ("label", facts.labels)):
            if len(set(names)) < len(names):
                raise _damaged(f"{what} {_twice(names)!r} is there twice")
        if facts.segments > MOST_SEGMENTS:
            raise _damaged(f"clips of {facts.segments} segments, at most {MOST_SEGMENTS} are possible")
        if not math.isfinite(facts.segment_seconds):
            raise _damaged(f"segments of {facts.segment_seconds} s")
        if not facts.stitched:
            for clip in facts.missing.keys() - set(facts.clips):
                raise _damaged(f"clip {clip[:100]!r} of 'missing' is none of its clips")
        config: Any = find_rule(facts.rule).parameters.from_dict(facts.config)
        if facts.approximate not in (None, bool(config.approximation)):
            raise _damaged(f"'approximate' is {facts.approximate}, which its 'config' is not")
        return cls(
            config=config,
            clip_ids=tuple(facts.clips),
            labels=tuple(facts.labels),
            segments=facts.segments,
            segment_seconds=facts.segment_seconds,
            cache=facts.cache,
            left_out=facts.left_out,
            missing=dict(facts.missing),
            clips_from=read_origins(facts.clips_from),
            stitched=facts.stitched,
            after_processing=msgspec.to_builtins(facts.after_processing),
        )

    def spans(self, block: EventBlock) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """First segment, and one past the last, of events of clips: float64 (E,) each, whole numbers."""
        return np.rint(block.onset / self.segment_seconds), np.rint(block.offset / self.segment_seconds)

    def numbered(self, named: Iterable[NamedEvents]) -> Iterator[EventBlock]:
        """Events of a file with numbers for names.

        Raises:
            ScoreError: a clip, stream or label is none of the facts', or an event lies nowhere in its clip.
        """
        numbers = [{name: at for at, name in enumerate(each)} for each in (self.clip_ids, STREAMS, self.labels)]
        for events in named:
            columns: list[NDArray[Any]] = []
            for what, names, known, dtype in zip(
                ("clip", "stream", "label"), events[:3], numbers, (np.int32, np.int8, np.int32), strict=True
            ):
                try:
                    columns.append(np.fromiter((known[name] for name in names), dtype, len(names)))
                except KeyError as error:
                    raise _damaged(
                        f"an event of {what} {str(error.args[0])[:100]!r}, which it does not list"
                    ) from error
            block = EventBlock(*columns, *(np.asarray(each, dtype=np.float64) for each in events[3:]))
            self._check(block)
            yield block

    def _check(self, block: EventBlock) -> None:
        if self.stitched:
            good = (block.onset >= 0) & (block.onset < block.offset) & (block.offset < np.inf)
        else:
            start, end = self.spans(block)
            good = (start >= 0) & (start < end) & (end <= self.segments)
        for row in np.flatnonzero(~good)[:1].tolist():
            clip = self.clip_ids[block.clip[row]]
            raise _damaged(f"event from {block.onset[row]} to {block.offset[row]} s in clip {clip[:100]}")
        for row in np.flatnonzero(~((block.score >= 0) & (block.score <= 1)))[:1].tolist():
            clip = self.clip_ids[block.clip[row]]
            raise _damaged(f"score {block.score[row]} of an event in clip {clip[:100]}, it must lie in [0, 1]")


def read_origins(raw: Any) -> dict[str, Origin]:
    """Where clips were cut from: the value of a cache's attribute ``clips_from``.

    Args:
        raw: by clip id, the file's id and the second at which the clip begins in it; a third number is the second at
            which the clip's own content ends, where it is padded.

    Raises:
        ScoreError: it is something else.
    """
    found: dict[str, Origin] = {}
    if not isinstance(raw, Mapping):
        raise ScoreError("clips_from must give a file and the second at which the clip begins, by clip id")
    for clip, entry in raw.items():
        origin = as_origin(entry)
        if origin is None:
            shown = repr(entry)
            shown = shown if len(shown) <= 200 else shown[:197] + "..."
            raise ScoreError(f"clips_from of clip {clip} is {shown}: expected [file, begin] or [file, begin, end]")
        found[clip] = origin
    return found


def origins_in(cache: FeatureCache) -> dict[str, Origin]:
    """Where a cache's clips were cut from.

    Raises:
        ScoreError: its record of that is damaged.
    """
    try:
        return read_origins(cache.attributes.get("clips_from", {}))
    except ScoreError as error:
        raise ScoreError(f"{cache.path}: {error}: extract again") from error


def _twice(names: Sequence[str]) -> str:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name[:100]
        seen.add(name)
    return ""


def _damaged(why: object) -> ScoreError:
    return ScoreError(f"damaged ({why}): score again")

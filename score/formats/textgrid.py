"""TextGrid of Praat: a file a clip, an interval tier a stream."""

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise

import numpy as np

from score.choices import STREAMS
from score.errors import ScoreError
from score.formats.base import ClipEvents, EventBlock, Facts, Format
from score.formats.clip_folders import ClipEvent, clip_reader
from score.formats.named import shown

BETWEEN = " + "
"""Between the labels of an interval in which several events are."""
_TOKENS = re.compile(r'"(?:[^"]|"")*+"|(?<!\S)(?:<\w+>|[-+]?\d[\d.eE+-]*)(?!\S)|(?<!\S)!.*')
"""What counts in a text file of Praat: texts, flags and numbers that stand alone, and comments."""


def write_textgrid(facts: Facts, clip: ClipEvents) -> Mapping[str, str]:
    """CLIP.TextGrid. The intervals of a tier cannot overlap: a tier is cut wherever an event begins or ends."""
    ends = f"xmin = 0\n{{}}xmax = {clip.seconds!r}\n"
    parts = [
        f'File type = "ooTextFile"\nObject class = "TextGrid"\n\n{ends.format("")}'
        f"tiers? <exists>\nsize = {len(STREAMS)}\nitem []:\n"
    ]
    for number, stream in enumerate(STREAMS):
        found = _intervals(clip.events.part(clip.events.stream == number), clip.seconds)
        parts.append(
            f'    item [{number + 1}]:\n        class = "IntervalTier"\n        name = "{stream}"\n'
            f"        {ends.format(' ' * 8)}        intervals: size = {len(found)}\n"
        )
        for at, (begin, end, labels) in enumerate(found, 1):
            text = BETWEEN.join(facts["labels"][label] for label in labels).replace('"', '""')
            parts.append(
                f"        intervals [{at}]:\n            xmin = {begin!r}\n            xmax = {end!r}\n"
                f'            text = "{text}"\n'
            )
    return {".TextGrid": "".join(parts)}


def _intervals(events: EventBlock, length: float) -> list[tuple[float, float, list[int]]]:
    """Begin, end and the labels that are there, of the intervals of a tier from 0 to a length."""
    times = np.unique(np.concatenate([events.onset, events.offset, [0.0, length]])).tolist()
    return [
        (begin, end, sorted(set(events.label[(events.onset <= begin) & (events.offset >= end)].tolist())))
        for begin, end in pairwise(times)
    ]


def read_textgrid(text: str) -> Iterator[ClipEvent]:
    """Intervals that have a text, in tiers of any name; those of our own tiers are put together to events again.

    Raises:
        ScoreError: it is no TextGrid in text.
    """
    tokens = [token for token in _TOKENS.findall(text) if not token.startswith("!")]
    if [token.strip('"') for token in tokens[:2]] != ["ooTextFile", "TextGrid"]:
        raise ScoreError("it does not begin as a TextGrid does: save it as a text file in Praat")
    at = iter(tokens[2:])
    try:
        for _ in range(2):
            _number(next(at))
        tiers = range(_count(at)) if next(at) == "<exists>" else range(0)
        for _ in tiers:
            kind, name = _text(next(at)), _text(next(at))
            for _ in range(2):
                _number(next(at))
            parts = 3 if kind == "IntervalTier" else 2
            intervals = [[next(at) for _ in range(parts)] for _ in range(_count(at))]
            if kind == "IntervalTier":
                found = ((_number(begin), _number(end), _text(said)) for begin, end, said in intervals)
                yield from _ours(name, found) if name in STREAMS else _theirs(found)
    except StopIteration as error:
        raise ScoreError("it ends in the middle: write it again") from error


def _theirs(intervals: Iterator[tuple[float, float, str]]) -> Iterator[ClipEvent]:
    return (ClipEvent("", text, begin, end) for begin, end, text in intervals if text)


def _ours(stream: str, intervals: Iterator[tuple[float, float, str]]) -> Iterator[ClipEvent]:
    """An event goes on as long as its label is in one interval after the other."""
    going: dict[str, tuple[float, float]] = {}
    for begin, end, text in intervals:
        labels = text.split(BETWEEN) if text else []
        for label in [label for label in going if label not in labels]:
            yield ClipEvent(stream, label, *going.pop(label))
        for label in labels:
            going[label] = (going[label][0] if label in going else begin, end)
    for label, (onset, offset) in going.items():
        yield ClipEvent(stream, label, onset, offset)


def _number(token: str) -> float:
    try:
        return float(token)
    except ValueError as error:
        raise ScoreError(f"{shown(token)} stands where a number has to: write it again") from error


def _count(tokens: Iterator[str]) -> int:
    token = next(tokens)
    if not token.isdecimal():
        raise ScoreError(f"{shown(token)} stands where a count has to: write it again")
    return int(token[:9])


def _text(token: str) -> str:
    if not token.startswith('"'):
        raise ScoreError(f"{shown(token)} stands where a text in quotes has to: write it again")
    return token[1:-1].replace('""', '"')


TEXTGRID = Format(
    "textgrid",
    write_clip=write_textgrid,
    read_list=clip_reader(".TextGrid", read_textgrid),
    ending=".TextGrid",
    sorted_by_clip=True,
    has_scores=False,
)

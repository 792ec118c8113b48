"""Events as they are read from lists of others: gathered in blocks, checked as far as one alone can be.

Published annotations have events that end where they begin, or before: they are handed on as they are.
"""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path

from feature_cache.names import escaped
from score.choices import STREAMS
from score.errors import ScoreError
from score.formats.base import NamedEvents

BLOCK = 1 << 16
"""Events that are handed on together."""
_STREAM_WORDS = {
    "": "",
    "audio": "audio", "heard": "audio", "a": "audio",
    "visual": "visual", "seen": "visual", "video": "visual", "v": "visual",
    "audiovisual": "audiovisual", "audio-visual": "audiovisual", "seen and heard": "audiovisual", "both": "audiovisual",
    "av": "audiovisual",
}  # fmt: skip


class Found:
    """Events of a file, one after the other, into blocks."""

    def __init__(self) -> None:
        """None so far."""
        self._columns = NamedEvents([], [], [], [], [], [])

    def add(self, clip: str, stream: str, label: str, onset: float, offset: float, score: float = math.nan) -> None:
        """One more.

        Raises:
            ScoreError: it has no label, or its times are none; without saying where.
        """
        if not label:
            raise ScoreError("an event has no label: name what it is")
        if not (math.isfinite(onset) and math.isfinite(offset)) or math.isinf(score):
            raise wrong_numbers(onset, offset, score)
        for column, value in zip(self._columns, (clip, stream, label, onset, offset, score), strict=True):
            column.append(value)  # type: ignore[attr-defined]

    def __len__(self) -> int:
        """Number of events that were not taken yet."""
        return len(self._columns.clip)

    def take(self) -> NamedEvents:
        """All that were added since."""
        found, self._columns = self._columns, NamedEvents([], [], [], [], [], [])
        return found


def wrong_numbers(onset: float, offset: float, score: float) -> ScoreError:
    """What is wrong with an event's numbers, and the mend."""
    if not (math.isfinite(onset) and math.isfinite(offset)):
        return ScoreError(f"an event from {onset} to {offset} s: write its onset and offset in seconds")
    return ScoreError(f"score {score} of an event is no number: write one, or none")


def in_blocks(found: Found, steps: Iterable[object]) -> Iterator[NamedEvents]:
    """Blocks of events, of something that adds to them at each step."""
    for _ in steps:
        if len(found) >= BLOCK:
            yield found.take()
    if len(found):
        yield found.take()


def stream_named(text: str) -> str:
    """The stream that a word means, "" for none.

    Raises:
        ScoreError: it means none.
    """
    found = _STREAM_WORDS.get(text.strip().casefold())
    if found is None:
        raise ScoreError(f"stream {shown(text)} is none of {', '.join(STREAMS)}")
    return found


def stream_ending(name: str) -> tuple[str, str]:
    """What comes before `_audio`, `_visual` or `_audiovisual` in a file's name without its ending, and that stream."""
    for stream in STREAMS:
        if name.lower().endswith(f"_{stream}"):
            return name[: -len(stream) - 1], stream
    return name, ""


def stream_of_file(path: Path) -> str:
    """The stream that a file's name ends in, "" for none."""
    return stream_ending(path.stem)[1]


def shown(text: object) -> str:
    """Whatever stands in a file, as an error may quote it."""
    return repr(escaped(str(text))[:60])

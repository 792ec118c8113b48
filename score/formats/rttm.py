"""RTTM, as speech and diarization tools read it: a file a stream, a line an event."""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from score.choices import STREAMS
from score.errors import ScoreError
from score.formats.base import EventBlock, Facts, Format, Listed, Progress, stream_files
from score.formats.named import Found, in_blocks, shown, stream_of_file
from score.formats.sources import read_source_lines

_OTHER_TYPES = {
    "SEGMENT", "NOSCORE", "NO_RT_METADATA", "LEXEME", "NON-LEX", "NON-SPEECH", "FILLER", "EDIT", "SU", "IP", "CB",
    "A/P", "SPKR-INFO",
}  # fmt: skip
_SPACES = re.compile(r"\s")


def write_rttm(facts: Facts, blocks: Iterable[EventBlock], files: Sequence[BinaryIO]) -> None:
    """`SPEAKER clip 1 onset duration <NA> <NA> label score <NA>`, with _ for the spaces of names.

    Raises:
        ScoreError: two clips or two labels become one by that.
    """
    clips, labels = _without_spaces("clips", facts["clips"]), _without_spaces("labels", facts["labels"])
    for block in blocks:
        lines: list[list[str]] = [[] for _ in STREAMS]
        for clip, stream, label, onset, offset, score in zip(*(each.tolist() for each in block.columns), strict=True):
            lines[stream].append(
                f"SPEAKER {clips[clip]} 1 {_seconds(onset)} {_seconds(offset - onset)} <NA> <NA> {labels[label]} "
                f"{score!r} <NA>\n"
            )
        for file, found in zip(files, lines, strict=True):
            file.write("".join(found).encode())


def _without_spaces(what: str, names: Sequence[str]) -> list[str]:
    found = [_SPACES.sub("_", name) for name in names]
    if len(set(found)) < len(found):
        seen: dict[str, str] = {}
        for name, short in zip(names, found, strict=True):
            if short in seen:
                raise ScoreError(
                    f"{what} {seen[short][:80]!r} and {name[:80]!r} are one in RTTM, which has _ for spaces: "
                    "rename one, or write another format"
                )
            seen[short] = name
    return found


def _seconds(value: float) -> str:
    """Milliseconds at least, more digits where it has some."""
    text = f"{value:.6f}"
    return text[:-3] + text[-3:].rstrip("0")


def read_rttm(path: Path, progress: Progress) -> Listed:
    """Lines of the type SPEAKER; those of other types, and comments, are passed over.

    Raises:
        ScoreError: a line is none of this format, while events come.
    """
    found = Found()
    return Listed(in_blocks(found, _read(path, progress, found)))


def _read(path: Path, progress: Progress, into: Found) -> Iterator[None]:
    stream = stream_of_file(path)
    for number, line in enumerate(chain.from_iterable(read_source_lines(path, progress)), 1):
        cells = line.split()
        if not cells or cells[0].startswith(";;") or cells[0] in _OTHER_TYPES:
            continue
        try:
            if cells[0] != "SPEAKER" or len(cells) < 8:
                raise ScoreError(
                    f"{shown(line.strip())} is no `SPEAKER clip 1 onset duration <NA> <NA> label score <NA>`"
                )
            onset, duration = _number(cells[3]), _number(cells[4])
            score = _number(cells[8]) if len(cells) > 8 and cells[8] != "<NA>" else math.nan
            into.add(cells[1], stream, cells[7], onset, _added(onset, duration), score)
        except ScoreError as error:
            raise ScoreError(f"{path} line {number}: {error}") from error
        yield


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise ScoreError(f"{shown(text)} is no number: write seconds, as 2.5") from error


def _added(onset: float, duration: float) -> float:
    """Without the noise of the last digits."""
    return round(onset + duration, 9) if math.isfinite(onset + duration) else onset + duration


RTTM = Format("rttm", write_rttm, read_list=read_rttm, ending=".rttm", files=lambda path: stream_files(path, ".rttm"))

"""JSON lines: the facts in the first line, then one event a line."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from score.errors import ScoreError
from score.formats.base import EventBlock, Facts, Format, NamedEvents, Progress
from score.formats.json_bytes import JsonBytes
from score.formats.json_events import check_stamp, stamped
from score.formats.json_records import decoded, read_records, record_texts
from score.formats.sources import open_source


def write_jsonl(facts: Facts, blocks: Iterable[EventBlock], files: Sequence[BinaryIO]) -> None:
    """One file; a reader of lines has to pass over the first."""
    files[0].write(f"{json.dumps(stamped(facts))}\n".encode())
    for block in blocks:
        files[0].write("".join(f"{text}\n" for text in record_texts(facts, block)).encode())


def read_jsonl(path: Path, progress: Progress) -> tuple[Facts, Iterator[NamedEvents]]:
    """What :func:`write_jsonl` wrote.

    Raises:
        ScoreError: the file is missing, no JSON, or something else.
    """
    file, size = open_source(path)
    text = JsonBytes(file, size, progress)
    if text.peek() != b"{":
        raise ScoreError("it is no events file of av2a: it does not begin with {")
    try:
        facts = decoded(text.value())
    except ValueError as error:
        raise ScoreError(f"damaged ({error}): score again") from error
    check_stamp(facts, f"{path.stem}.jsonl")
    return facts, read_records(text, in_list=False)


JSONL = Format("jsonl", write_jsonl, read=read_jsonl, ending=".jsonl")

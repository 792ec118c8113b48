"""CSV: one row an event, all streams in one file."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import BinaryIO

from score.formats.base import EventBlock, Facts, Format, remarks
from score.formats.rows import read_rows

COLUMNS = ("clip", "stream", "label", "onset", "offset", "score")


def write_csv(facts: Facts, blocks: Iterable[EventBlock], files: Sequence[BinaryIO]) -> None:
    """One file with a header line; last columns say of every event what is approximate or inferred, if anything is."""
    text = io.TextIOWrapper(files[0], "utf-8", newline="")
    more = remarks(facts)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*COLUMNS, *more))
    for block in blocks:
        writer.writerows((*row, *more.values()) for row in block.rows(facts))
    text.detach()


CSV = Format("csv", write_csv, read_list=read_rows, ending=".csv")

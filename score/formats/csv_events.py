"""CSV: one row an event, all streams in one file."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import BinaryIO

from score.formats.base import EventBlock, Facts, Format
from score.formats.rows import read_rows

COLUMNS = ("clip", "stream", "label", "onset", "offset", "score")


def write_csv(facts: Facts, blocks: Iterable[EventBlock], files: Sequence[BinaryIO]) -> None:
    """One file with a header line; a last column says of every event what is approximate, if anything is."""
    text = io.TextIOWrapper(files[0], "utf-8", newline="")
    more = {"approximate": facts["approximation"]} if facts["approximate"] else {}
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*COLUMNS, *more))
    for block in blocks:
        writer.writerows((*row, *more.values()) for row in block.rows(facts))
    text.detach()


CSV = Format("csv", write_csv, read_list=read_rows, ending=".csv")

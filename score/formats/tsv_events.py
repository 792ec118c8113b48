"""Tab-separated, as the DCASE tools read and write it: filename, onset, offset, event_label; one file a stream."""

import csv
import io
from collections.abc import Iterable, Sequence
from functools import partial
from typing import BinaryIO

from score.choices import STREAMS
from score.formats.base import EventBlock, Facts, Format, remarks, stream_files
from score.formats.rows import read_rows

COLUMNS = ("filename", "onset", "offset", "event_label")


def write_tsv(facts: Facts, blocks: Iterable[EventBlock], files: Sequence[BinaryIO], scores: bool = False) -> None:
    """A file a stream; last columns say of every event what is approximate or inferred, if anything is.

    Args:
        facts: of the events.
        blocks: the events.
        files: one a stream.
        scores: whether there is a column "score" before it.
    """
    texts = {stream: io.TextIOWrapper(file, "utf-8", newline="") for stream, file in zip(STREAMS, files, strict=True)}
    writers = {stream: csv.writer(text, delimiter="\t", lineterminator="\n") for stream, text in texts.items()}
    more = remarks(facts)
    for writer in writers.values():
        writer.writerow((*COLUMNS, *(("score",) if scores else ()), *more))
    for block in blocks:
        for clip, stream, label, onset, offset, score in block.rows(facts):
            last = (*((score,) if scores else ()), *more.values())
            writers[stream].writerow((clip, f"{onset:.3f}", f"{offset:.3f}", label, *last))
    for text in texts.values():
        text.detach()


TSV = Format(
    "tsv",
    write_tsv,
    read_list=read_rows,
    with_scores=partial(write_tsv, scores=True),
    ending=".tsv",
    files=lambda path: stream_files(path, ".tsv"),
    has_scores=False,
)

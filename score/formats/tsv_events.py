"""Tab-separated, as the DCASE tools read and write it: filename, onset, offset, event_label; one file a stream."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

from score.choices import STREAMS
from score.formats.base import EventBlock, Facts, Format

COLUMNS = ("filename", "onset", "offset", "event_label")


def tsv_files(path: Path) -> list[Path]:
    """NAME_audiovisual.tsv, NAME_visual.tsv and NAME_audio.tsv beside the path given."""
    return [path.with_name(f"{path.stem}_{stream}{path.suffix or '.tsv'}") for stream in STREAMS]


def write_tsv(facts: Facts, blocks: Iterable[EventBlock], files: Sequence[BinaryIO]) -> None:
    """A file a stream; a last column says of every event what is approximate, if anything is."""
    texts = {stream: io.TextIOWrapper(file, "utf-8", newline="") for stream, file in zip(STREAMS, files, strict=True)}
    writers = {stream: csv.writer(text, delimiter="\t", lineterminator="\n") for stream, text in texts.items()}
    more = (facts["approximation"],) if facts["approximate"] else ()
    for writer in writers.values():
        writer.writerow((*COLUMNS, "approximate") if more else COLUMNS)
    for block in blocks:
        for clip, stream, label, onset, offset, _ in block.rows(facts):
            writers[stream].writerow((clip, f"{onset:.3f}", f"{offset:.3f}", label, *more))
    for text in texts.values():
        text.detach()


TSV = Format("tsv", write_tsv, files=tsv_files)

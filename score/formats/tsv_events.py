"""Tab-separated, as the DCASE tools read and write it: filename, onset, offset, event_label; one file a stream."""

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from score.events import Events

COLUMNS = ("filename", "onset", "offset", "event_label")


def tsv_files(events: "Events", path: Path) -> dict[Path, str]:
    """NAME_audiovisual.tsv, NAME_visual.tsv and NAME_audio.tsv beside the path given.

    A last column says of every event what is approximate, if anything is.
    """
    from score.choices import STREAMS

    texts = {stream: io.StringIO() for stream in STREAMS}
    writers = {stream: csv.writer(text, delimiter="\t", lineterminator="\n") for stream, text in texts.items()}
    approximation = events.config.approximation
    for writer in writers.values():
        writer.writerow((*COLUMNS, "approximate") if approximation else COLUMNS)
    for record in events.records():
        row = (record["clip"], f"{record['onset']:.3f}", f"{record['offset']:.3f}", record["label"])
        writers[record["stream"]].writerow((*row, approximation) if approximation else row)
    ending = path.suffix or ".tsv"
    return {path.with_name(f"{path.stem}_{stream}{ending}"): text.getvalue() for stream, text in texts.items()}

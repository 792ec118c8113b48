"""Tab-separated, as the DCASE tools read and write it: filename, onset, offset, event_label; one file a stream."""

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from score.events import Events

COLUMNS = ("filename", "onset", "offset", "event_label")


def tsv_files(events: "Events", path: Path) -> dict[Path, str]:
    """NAME_audiovisual.tsv, NAME_visual.tsv and NAME_audio.tsv beside the path given."""
    from score.events import STREAMS

    texts = {stream: io.StringIO() for stream in STREAMS}
    writers = {stream: csv.writer(text, delimiter="\t", lineterminator="\n") for stream, text in texts.items()}
    for writer in writers.values():
        writer.writerow(COLUMNS)
    for record in events.records():
        writers[record["stream"]].writerow(
            (record["clip"], f"{record['onset']:.3f}", f"{record['offset']:.3f}", record["label"])
        )
    ending = path.suffix or ".tsv"
    return {path.with_name(f"{path.stem}_{stream}{ending}"): text.getvalue() for stream, text in texts.items()}

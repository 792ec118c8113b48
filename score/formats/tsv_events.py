"""Tab-separated, as the DCASE tools read and write it: filename, onset, offset, event_label; one file a stream."""

import csv
import io
from pathlib import Path

from score.choices import STREAMS
from score.formats.base import Facts, Format

COLUMNS = ("filename", "onset", "offset", "event_label")


def tsv_files(events: Facts, path: Path) -> dict[Path, str]:
    """NAME_audiovisual.tsv, NAME_visual.tsv and NAME_audio.tsv beside the path given.

    A last column says of every event what is approximate, if anything is.
    """
    texts = {stream: io.StringIO() for stream in STREAMS}
    writers = {stream: csv.writer(text, delimiter="\t", lineterminator="\n") for stream, text in texts.items()}
    more = (events["approximation"],) if events["approximate"] else ()
    for writer in writers.values():
        writer.writerow((*COLUMNS, "approximate") if more else COLUMNS)
    for record in events["events"]:
        row = (record["clip"], f"{record['onset']:.3f}", f"{record['offset']:.3f}", record["label"])
        writers[record["stream"]].writerow((*row, *more))
    ending = path.suffix or ".tsv"
    return {path.with_name(f"{path.stem}_{stream}{ending}"): text.getvalue() for stream, text in texts.items()}


TSV = Format("tsv", tsv_files)

"""CSV: one row an event, all streams in one file."""

import csv
import io
from pathlib import Path

from score.formats.base import Facts, Format

COLUMNS = ("clip", "stream", "label", "onset", "offset", "score")


def csv_files(events: Facts, path: Path) -> dict[Path, str]:
    """One file with a header line; a last column says of every event what is approximate, if anything is."""
    text = io.StringIO()
    more = {"approximate": events["approximation"]} if events["approximate"] else {}
    writer = csv.DictWriter(text, (*COLUMNS, *more), lineterminator="\n")
    writer.writeheader()
    writer.writerows({**record, **more} for record in events["events"])
    return {path: text.getvalue()}


CSV = Format("csv", csv_files)

"""CSV: one row an event, all streams in one file."""

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from score.events import Events

COLUMNS = ("clip", "stream", "label", "onset", "offset", "score")


def csv_files(events: "Events", path: Path) -> dict[Path, str]:
    """One file with a header line."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(events.records())
    return {path: text.getvalue()}

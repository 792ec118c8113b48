"""CSV: one row an event, all streams in one file."""

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from score.events import Events

COLUMNS = ("clip", "stream", "label", "onset", "offset", "score")


def csv_files(events: "Events", path: Path) -> dict[Path, str]:
    """One file with a header line; a last column says of every event what is approximate, if anything is."""
    text = io.StringIO()
    approximation = events.config.approximation
    more = {"approximate": approximation} if approximation else {}
    writer = csv.DictWriter(text, (*COLUMNS, *more), lineterminator="\n")
    writer.writeheader()
    writer.writerows({**record, **more} for record in events.records())
    return {path: text.getvalue()}

"""Labels of Audacity: a file a clip and stream, a line an event: onset, offset and label, tabs between."""

from collections.abc import Iterator, Mapping

import numpy as np

from feature_cache.names import escaped
from score.choices import STREAMS
from score.errors import ScoreError
from score.formats.base import ClipEvents, Facts, Format
from score.formats.clip_folders import ClipEvent, clip_reader
from score.formats.named import shown


def write_audacity(facts: Facts, clip: ClipEvents) -> Mapping[str, str]:
    """CLIP_audiovisual.txt, CLIP_visual.txt and CLIP_audio.txt; without events they are empty."""
    lines: dict[str, list[str]] = {stream: [] for stream in STREAMS}
    events = clip.events
    ordered = events.part(np.lexsort((events.label, events.offset, events.onset)))
    for _, stream, label, onset, offset, _ in ordered.rows(facts):
        lines[stream].append(f"{onset:.6f}\t{offset:.6f}\t{escaped(label)}\n")
    return {f"_{stream}.txt": "".join(found) for stream, found in lines.items()}


def read_audacity(text: str) -> Iterator[ClipEvent]:
    """Labels of stretches. Those of a moment are no events; lines that begin with a backslash are frequencies.

    Raises:
        ScoreError: a line is something else.
    """
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.startswith("\\"):
            continue
        cells = line.split("\t", 2)
        try:
            onset, offset = (float(cell.replace(",", ".")) for cell in cells[:2])
        except ValueError as error:
            raise ScoreError(f"line {number}: {shown(line)} is no onset, offset and label with tabs between") from error
        if len(cells) < 3 or not cells[2]:
            raise ScoreError(f"line {number}: a label without a text: name what it is")
        if onset != offset:
            yield ClipEvent("", cells[2], onset, offset)


AUDACITY = Format(
    "audacity",
    write_clip=write_audacity,
    read_list=clip_reader(".txt", read_audacity, stream_in_name=True),
    ending=".txt",
    sorted_by_clip=True,
    has_scores=False,
)

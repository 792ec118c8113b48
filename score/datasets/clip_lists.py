"""Lists of clips that people write: those that were looked at."""

import csv
from os import PathLike
from pathlib import Path

from feature_cache.names import folded
from feature_cache.text_files import Text, TextFileError
from score.datasets.values import as_name
from score.errors import AnnotationError

HEADERS = ("clip", "clips", "clip_id", "file", "filename", "id", "vid_name", "video", "video-id", "video_id", "videoid")
"""What the first line may say above a column of clips."""


def read_clip_list(path: str | PathLike[str]) -> tuple[str, ...]:
    """Clips that a text file names, one a line; of a table (.csv, .tsv, or with tabs) they are the first column.

    Raises:
        AnnotationError: it cannot be read, names none, or holds what can be no name; with the line.

    Example:
        >>> read_clip_list("looked_at.txt")
        ('3Yz0Ai2MbMk_30_40', '-4wsDfrSsPY_30_40')
    """
    file = Path(path)
    try:
        text = Text(file)
        first = next((line for line in text.lines() if line.strip()), "")
    except TextFileError as error:
        raise AnnotationError(str(error)) from error
    delimiter = "\t" if "\t" in first or file.suffix.lower() == ".tsv" else ","
    whole = delimiter == "," and file.suffix.lower() != ".csv"
    found: dict[str, None] = {}
    begun = False
    for number, line in enumerate(text.lines(), start=1):
        name = line.strip() if whole else next(iter(next(csv.reader([line], delimiter=delimiter), [])), "").strip()
        if not line.strip():
            continue
        if begun or folded(name) not in HEADERS:
            found.setdefault(as_name(name, f"{file} line {number}", "clip"))
        begun = True
    if not found:
        raise AnnotationError(f"{file} names no clips: write one a line")
    return tuple(found)

"""Which format a file of events has, by its ending, or by its first bytes."""

from collections import Counter
from collections.abc import Mapping
from itertools import islice
from pathlib import Path

import msgspec

from feature_cache.text_files import is_special
from score.errors import ScoreError
from score.formats.json_bytes import JsonBytes
from score.formats.sources import open_source

_IN_FOLDERS = ("audacity", "vtt", "srt", "textgrid", "eaf")
_LOOKED_AT = 10_000
"""Files of a folder."""
_FIRST_BYTES = 4096


def kind_by_content(path: Path, by_ending: Mapping[str, str]) -> str:
    """The name of a format.

    Args:
        path: a file or folder.
        by_ending: names of formats, by endings in lower case.

    Raises:
        ScoreError: it is a folder in which no file's ending is known.
    """
    if path.is_dir():
        endings = Counter(
            by_ending.get(file.suffix.lower())
            for file in islice(path.rglob("*"), _LOOKED_AT)
            if not file.name.startswith(".")
        )
        known = [name for name in _IN_FOLDERS if endings[name]]
        if not known:
            raise ScoreError(
                f"{path} is a folder without files of events: one a clip, as {', '.join(_IN_FOLDERS)} have"
            )
        return max(known, key=lambda name: endings[name])
    if is_special(path) or not path.exists():
        return by_ending.get(path.suffix.lower(), "json")  # a pipe can be read once alone
    first = _first(path)
    ending = by_ending.get(path.suffix.lower())
    if ending not in (None, "json", "audacity"):
        return str(ending)
    if first[:1] in ("{", "["):
        return _kind_of_json(path)
    return _kind_of_text(first) if ending != "json" else "json"


def _first(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_FIRST_BYTES).decode("utf-8-sig", "replace").lstrip()
    except OSError as error:
        raise ScoreError(f"{path}: {error.strerror or error}") from error


def _kind_of_text(first: str) -> str:
    if first.startswith("PAR1"):
        return "parquet"
    line = first.split("\n", 1)[0]
    if line.startswith(("SPEAKER ", ";;", "SPKR-INFO ")):
        return "rttm"
    cells = line.split("\t")
    if not line or (len(cells) in (2, 3) and cells[0].replace(".", "", 1).replace(",", "", 1).isdecimal()):
        return "audacity"
    return "tsv" if len(cells) > 1 else "csv"


def _kind_of_json(path: Path) -> str:
    """By the names of its members, without reading more of it than that takes."""
    try:
        file, size = open_source(path)
        text = JsonBytes(file, size, lambda done, total: None)
        if text.peek() == b"[":
            return "label-studio"
        text.take(b"{")
        while text.peek() == b'"':
            name = msgspec.json.decode(text.value(), type=str)
            text.take(b":")
            if name in ("results", "database"):
                return "activitynet"
            if name == "events":
                return "json"
            value = text.value()
            if name == "format":
                return "json"
            if value.startswith(b"{") and {"category", "label"} <= msgspec.json.decode(value, type=dict).keys():
                return "ov-avebench"
            if text.peek() == b",":
                text.take(b",")
    except (ScoreError, msgspec.MsgspecError):
        pass  # whoever reads it says what is wrong
    return "json"

"""Events files read in the plainest way, everything in memory at once: what any other way must give."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from score import Events, ScoreConfig
from score.choices import STREAMS


def plain_read(file: Path) -> Events:
    """Events of a JSON file, or of one of JSON lines.

    Raises:
        Exception: it is none.
    """
    text = file.read_text(encoding="utf-8-sig")
    if file.suffix == ".jsonl":
        first, *records = _one_after_the_other(text)
        return plain_events({**first, "events": records})
    return plain_events(strict(text))


def plain_events(found: dict[str, Any]) -> Events:
    assert (found["format"], found["version"]) == ("av2a-events", 1)
    clips = {clip: number for number, clip in enumerate(found["clips"])}
    labels = {label: number for number, label in enumerate(found["labels"])}
    assert (len(clips), len(labels)) == (len(found["clips"]), len(found["labels"]))
    segments, seconds = found["segments"], found["segment_seconds"]
    assert type(segments) is int
    assert type(seconds) in (int, float)
    assert found.get("stitched", False) is False
    rows = []
    for record in found["events"]:
        onset, offset, score = record["onset"], record["offset"], record["score"]
        assert {type(onset), type(offset), type(score)} <= {int, float}
        start, end = round(onset / seconds), round(offset / seconds)
        assert 0 <= start < end <= segments
        assert math.isfinite(score)
        stream = STREAMS.index(record["stream"])
        rows.append((clips[record["clip"]], stream, labels[record["label"]], start, end, float(score)))
    columns = list(zip(*rows, strict=True)) or [()] * 6
    return Events(
        config=ScoreConfig.from_dict(found["config"]),
        clip_ids=tuple(clips),
        labels=tuple(labels),
        clip=np.array(columns[0], dtype=np.int32),
        stream_number=np.array(columns[1], dtype=np.int8),
        label=np.array(columns[2], dtype=np.int32),
        start=np.array(columns[3], dtype=np.int16),
        end=np.array(columns[4], dtype=np.int16),
        score=np.array(columns[5], dtype=np.float64),
        segments=segments,
        segment_seconds=float(seconds),
        cache=dict(found["cache"]),
        left_out=dict(found["left_out"]),
        missing=dict(found.get("missing", {})),
        clips_from={clip: (file, begin, None) for clip, (file, begin) in found.get("clips_from", {}).items()},
    )


def strict(text: str) -> Any:
    """A JSON value without doubled names and without NaN."""
    return _DECODER.decode(text)


def _one_after_the_other(text: str) -> list[Any]:
    found, at = [], 0
    while text[at:].strip(" \t\r\n"):
        at += len(text[at:]) - len(text[at:].lstrip(" \t\r\n"))
        value, at = _DECODER.raw_decode(text, at)
        found.append(value)
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def _none(text: str) -> Any:
    raise ValueError(text)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_none,
    parse_int=lambda digits: int(digits) if len(digits) < 400 else float(digits),
)  # fmt: skip

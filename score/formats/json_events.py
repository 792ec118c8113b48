"""events.json: the settings, the cache's identity and one record an event."""

import json
import math
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from score.choices import STREAMS
from score.config import ScoreConfig
from score.errors import ScoreError
from score.stitching import read_origins

if TYPE_CHECKING:
    from score.events import Events

FORMAT = "av2a-events"
VERSION = 1


def json_files(events: "Events", path: Path) -> dict[Path, str]:
    """One file; the same events give the same bytes."""
    approximation = events.config.approximation
    head = {
        "format": FORMAT,
        "version": VERSION,
        "config": events.config.to_dict(),
        "approximate": bool(approximation),
        **({"approximation": approximation} if approximation else {}),
        "cache": events.cache,
        "segments": events.segments,
        "segment_seconds": events.segment_seconds,
        "left_out": events.left_out,
        "missing": events.missing,
        "stitched": events.seconds is not None,
        "clips_from": {clip: [part for part in place if part is not None] for clip, place in events.clips_from.items()},
        "labels": list(events.labels),
        "clips": list(events.clip_ids),
    }
    lines = [f" {json.dumps(name)}: {json.dumps(value)}," for name, value in head.items()]
    records = ",\n".join(f"  {json.dumps(record)}" for record in events.records())
    return {path: "{\n" + "\n".join(lines) + '\n "events": [\n' + records + "\n ]\n}\n"}


def read_json(path: str | PathLike[str]) -> dict[str, Any]:
    """The fields of :class:`score.Events` from a file of :func:`json_files`.

    Raises:
        ScoreError: the file is missing, damaged, or something else.
    """
    file = Path(path)
    try:
        found = json.loads(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise ScoreError(f"{file} is not there: `av2a score` makes it") from error
    except OSError as error:
        raise ScoreError(f"{file}: {error.strerror}") from error
    except ValueError as error:
        raise ScoreError(f"{file} is no events file, or damaged ({error}): score again") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise ScoreError(f"{file} is no events file of av2a: `av2a score -o {file.stem}.json` makes one")
    if found.get("version") != VERSION:
        raise ScoreError(f"{file} has events format {found.get('version')}, this av2a reads {VERSION}: score again")
    try:
        return _fields(found)
    except ScoreError as error:
        raise ScoreError(f"{file}: {error}") from error
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError, ZeroDivisionError) as error:
        raise ScoreError(f"{file} is damaged ({type(error).__name__}: {error}): score again") from error


def _fields(found: dict[str, Any]) -> dict[str, Any]:
    clips = {clip: number for number, clip in enumerate(found["clips"])}
    labels = {label: number for number, label in enumerate(found["labels"])}
    segments, seconds = int(found["segments"]), float(found["segment_seconds"])
    stitched = bool(found.get("stitched", False))
    rows, times = [], []
    for record in found["events"]:
        onset, offset = float(record["onset"]), float(record["offset"])
        start, end = (0, 0) if stitched else (round(onset / seconds), round(offset / seconds))
        if not (0 <= onset < offset < math.inf if stitched else 0 <= start < end <= segments):
            raise ValueError(f"event from {record['onset']} to {record['offset']} s in clip {record['clip']}")
        times.append((onset, offset))
        stream = STREAMS.index(record["stream"])
        rows.append((clips[record["clip"]], stream, labels[record["label"]], start, end, float(record["score"])))
    columns = list(zip(*rows, strict=True)) or [()] * 6
    return {
        "config": ScoreConfig.from_dict(found["config"]),
        "clip_ids": tuple(clips),
        "labels": tuple(labels),
        "clip": np.array(columns[0], dtype=np.int32),
        "stream_number": np.array(columns[1], dtype=np.int8),
        "label": np.array(columns[2], dtype=np.int32),
        "start": np.array(columns[3], dtype=np.int16),
        "end": np.array(columns[4], dtype=np.int16),
        "score": np.array(columns[5], dtype=np.float64),
        "segments": segments,
        "segment_seconds": seconds,
        "cache": dict(found["cache"]),
        "left_out": dict(found["left_out"]),
        "missing": dict(found.get("missing", {})),
        "clips_from": read_origins(found.get("clips_from", {})),
        "seconds": np.array(times, dtype=np.float64).reshape(-1, 2) if stitched else None,
    }

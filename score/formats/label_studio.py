"""Label Studio: one JSON file of tasks, a task a clip, with predictions in seconds on its sound's track."""

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO
from urllib.parse import parse_qs, quote, unquote, urlsplit

import msgspec
import numpy as np

from score.choices import STREAMS
from score.errors import ScoreError
from score.formats.base import ClipEvents, EventBlock, Facts, Format, Listed, Progress, remarks
from score.formats.clips import by_clip
from score.formats.named import Found, in_blocks
from score.formats.sources import read_json_bytes

TRACK = "sound"
"""Name of the labeling interface's <Audio>; its <Labels> have the names of streams (docs/formats.md)."""


def write_label_studio(facts: Facts, blocks: Iterable[EventBlock], files: Sequence[BinaryIO]) -> None:
    """A task for every clip, events or not; the same events have the same ids."""
    made = json.dumps([facts["config"], facts["cache"]], sort_keys=True)
    model = f"av2a {facts['cache'].get('backbone', '')} {_digest(made)[:8]}".replace("  ", " ")
    between = "[\n"
    for clip in by_clip(facts, blocks):
        files[0].write((between + json.dumps(_task(facts, clip, model))).encode())
        between = ",\n"
    files[0].write(b"[]\n" if between == "[\n" else b"\n]\n")


def _task(facts: Facts, clip: ClipEvents, model: str) -> dict[str, Any]:
    events = clip.events
    seen: dict[str, int] = {}
    regions: list[dict[str, Any]] = []
    for _, stream, label, onset, offset, score in events.part(
        np.lexsort((events.label, events.stream, events.offset, events.onset))
    ).rows(facts):
        text = json.dumps([clip.clip, stream, label, onset, offset])
        seen[text] = seen.get(text, 0) + 1
        regions.append(
            {
                "id": _digest(f"{text} {seen[text]}")[:12],
                "from_name": stream,
                "to_name": TRACK,
                "type": "labels",
                "value": {"start": onset, "end": offset, "channel": 0, "labels": [label]},
                "score": score,
            }
        )
    mean = {"score": float(events.score.mean())} if len(events) else {}
    said = remarks(facts)
    video = f"/data/local-files/?d={quote(f'videos/{clip.clip}.mp4', errors='surrogatepass')}"
    return {
        "data": {"video": video, "clip": clip.clip, "duration": clip.seconds, **said},
        "predictions": [{"model_version": model, **mean, "result": regions}],
    }


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


class _Value(msgspec.Struct):
    start: float | None = None
    end: float | None = None
    labels: list[str] = []


class _Region(msgspec.Struct):
    type: str = ""
    from_name: str = ""
    value: _Value = msgspec.field(default_factory=_Value)
    score: float | None = None


class _Regions(msgspec.Struct):
    result: list[_Region] = []
    was_cancelled: bool = False


class _Task(msgspec.Struct):
    data: dict[str, Any]
    annotations: list[_Regions] = []
    predictions: list[_Regions] = []


_TASKS = msgspec.json.Decoder(list[_Task])


def read_label_studio(path: Path, progress: Progress) -> Listed:
    """Labels of stretches of sound: people's annotations where a task has some, else its first predictions.

    A task's clip is its data's "clip", else the name of the file that its data names.

    Raises:
        ScoreError: it is something else; while events come, too.
    """
    try:
        tasks = _TASKS.decode(read_json_bytes(path, progress))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ScoreError(f"{path} is no JSON of Label Studio's tasks ({error}): export it as JSON") from error
    clips = [_clip(path, number, task) for number, task in enumerate(tasks, 1)]
    found = Found()
    return Listed(in_blocks(found, _read(path, clips, tasks, found)), list(dict.fromkeys(clips)))


def _clip(path: Path, number: int, task: _Task) -> str:
    if isinstance(task.data.get("clip"), str):
        return str(task.data["clip"])
    for name in ("video", "audio", *task.data):
        url = task.data.get(name)
        if isinstance(url, str) and url:
            parts = urlsplit(url)
            place = parse_qs(parts.query).get("d", [unquote(parts.path)])[0]
            return PurePosixPath(place).stem
    raise ScoreError(f'{path}: task {number} names no clip: give its data a "clip"')


def _read(path: Path, clips: Sequence[str], tasks: Sequence[_Task], into: Found) -> Iterator[None]:
    for number, (clip, task) in enumerate(zip(clips, tasks, strict=True), 1):
        done = [each for each in task.annotations if not each.was_cancelled]
        for regions in done or task.predictions[:1]:
            for region in regions.result:
                if region.type == "timelinelabels":
                    raise ScoreError(f"{path}: task {number} has labels in frames: label the sound, in seconds")
                if region.type != "labels" or region.value.start is None or region.value.end is None:
                    continue
                stream = region.from_name if region.from_name in STREAMS else ""
                score = math.nan if region.score is None else region.score
                for label in region.value.labels:
                    try:
                        into.add(clip, stream, label, region.value.start, region.value.end, score)
                    except ScoreError as error:
                        raise ScoreError(f"{path}: task {number}: {error}") from error
                yield


LABEL_STUDIO = Format("label-studio", write_label_studio, read_list=read_label_studio, sorted_by_clip=True)

"""ActivityNet's form of results, a file a stream: {"version": ..., "results": {clip: [event, ...]}, ...}."""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from score.choices import STREAMS
from score.errors import ScoreError
from score.formats.base import EventBlock, Facts, Format, Listed, Progress, remarks, stream_files
from score.formats.clips import by_clip
from score.formats.json_members import members
from score.formats.named import Found, in_blocks, shown, stream_of_file
from score.formats.sources import read_json_bytes

_VERSION = "VERSION 1.3"


def write_activitynet(facts: Facts, blocks: Iterable[EventBlock], files: Sequence[BinaryIO]) -> None:
    """Every clip is named; "external_data" says what the scores are from, what is approximate or inferred, if so."""
    about = f"av2a, {facts['cache'].get('backbone', '')}".removesuffix(", ")
    for what, remark in remarks(facts).items():
        about = f"{about}; {what}: {remark}"
    for file in files:
        file.write(f'{{"version": "{_VERSION}", "results": {{'.encode())
    labels = {number: json.dumps(label) for number, label in enumerate(facts["labels"])}
    between = "\n"
    for clip in by_clip(facts, blocks):
        name = json.dumps(clip.clip)
        found: list[list[str]] = [[] for _ in STREAMS]
        for _, stream, label, onset, offset, score in zip(
            *(each.tolist() for each in clip.events.columns), strict=True
        ):
            found[stream].append(
                f'{{"label": {labels[label]}, "score": {score!r}, "segment": [{onset!r}, {offset!r}]}}'
            )
        for file, events in zip(files, found, strict=True):
            file.write(f"{between} {name}: [{', '.join(events)}]".encode())
        between = ",\n"
    for file in files:
        file.write(f'\n}}, "external_data": {{"used": true, "details": {json.dumps(about)}}}}}\n'.encode())


class _Event(msgspec.Struct):
    segment: tuple[float, float]
    label: str | int | None = None
    label_id: str | int | None = None
    score: float | None = None
    scores: float | None = None


class _Video(msgspec.Struct):
    annotations: list[_Event] = []


_EVENTS = msgspec.json.Decoder(list[_Event])
_VIDEO = msgspec.json.Decoder(_Video)


def read_activitynet(path: Path, progress: Progress) -> Listed:
    """Results, or annotations: a list of events a clip, or an object with "annotations"; label_id 3 is the label "#3".

    Raises:
        ScoreError: it is something else; while events come, too.
    """
    top = members(path, read_json_bytes(path, progress))
    found = next((top[name] for name in ("results", "database") if name in top), None)
    if found is None:
        raise ScoreError(f'{path} has no "results" or "database": {{"results": {{clip: [event, ...]}}}} is its form')
    videos = members(path, found)
    events = Found()
    return Listed(in_blocks(events, _read(path, videos, events)), list(videos))


def _read(path: Path, videos: dict[str, msgspec.Raw], into: Found) -> Iterator[None]:
    stream = stream_of_file(path)
    for clip, raw in videos.items():
        try:
            events = _VIDEO.decode(raw).annotations if bytes(raw).startswith(b"{") else _EVENTS.decode(raw)
            for event in events:
                score = event.score if event.score is not None else event.scores
                into.add(clip, stream, _label(event), *event.segment, math.nan if score is None else score)
                yield
        except msgspec.MsgspecError as error:
            form = '{"segment": [onset, offset], "label": name, "score": number}'
            raise ScoreError(f"{path}: clip {shown(clip)}: {error}: an event is {form}") from error
        except ScoreError as error:
            raise ScoreError(f"{path}: clip {shown(clip)}: {error}") from error


def _label(event: _Event) -> str:
    """A name, or a class's number as a text."""
    label: Any = event.label_id if event.label is None else event.label
    if label is None:
        return ""
    number = isinstance(label, int) or (event.label is None and label.isdecimal())
    return f"#{label}" if number else label


def _files(path: Path) -> list[Path]:
    return stream_files(path, ".json")


ACTIVITYNET = Format("activitynet", write_activitynet, read_list=read_activitynet, files=_files, sorted_by_clip=True)

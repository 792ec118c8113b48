"""OV-AVEBench's own JSON: {clip: {"category": label, "label": "[0, 1, ...]"}}, a number a second. It is read alone."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import msgspec

from score.errors import ScoreError
from score.formats.base import Listed, Progress
from score.formats.json_members import members
from score.formats.named import Found, in_blocks, shown
from score.formats.sources import read_json_bytes

_SECONDS = 1.0
"""Of a segment."""


class _Clip(msgspec.Struct):
    category: str
    label: str | list[int]


_CLIP = msgspec.json.Decoder(_Clip)
_SEGMENTS = msgspec.json.Decoder(list[int])


def read_ov_avebench(path: Path, progress: Progress) -> Listed:
    """Runs of ones as events that are heard and seen.

    Raises:
        ScoreError: it is something else; while events come, too.
    """
    clips = members(path, read_json_bytes(path, progress))
    found = Found()
    return Listed(in_blocks(found, _read(path, clips, found)), list(clips))


def _read(path: Path, clips: dict[str, msgspec.Raw], into: Found) -> Iterator[None]:
    for clip, raw in clips.items():
        try:
            entry = _CLIP.decode(raw)
            segments = _SEGMENTS.decode(entry.label) if isinstance(entry.label, str) else entry.label
            if not set(segments) <= {0, 1}:
                raise ScoreError(f"its segments hold {shown(max(segments, key=abs))}: write 0 or 1")
            at = 0
            for value, run in groupby(segments):
                end = at + len(list(run))
                if value:
                    into.add(clip, "audiovisual", entry.category, at * _SECONDS, end * _SECONDS)
                at = end
        except msgspec.MsgspecError as error:
            form = '{"category": label, "label": "[0, 1, ...]"}'
            raise ScoreError(f"{path}: clip {shown(clip)}: {error}: a clip is {form}") from error
        except ScoreError as error:
            raise ScoreError(f"{path}: clip {shown(clip)}: {error}") from error
        yield

"""Subtitles, WebVTT and SubRip: a file a clip, a cue an event, which says in words how it was perceived."""

import html
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from feature_cache.names import escaped
from score.choices import STREAMS
from score.errors import ScoreError
from score.formats.base import ClipEvents, EventBlock, Facts, Format, remarks
from score.formats.clip_folders import ClipEvent, clip_reader
from score.formats.named import shown

WORDS = {"audiovisual": "seen and heard", "visual": "seen", "audio": "heard"}
"""How a stream is said."""
_STREAM = re.compile(r"\[(seen and heard|seen|heard)\] (.*)", re.DOTALL)
_TIMES = re.compile(r"\s*(?:(\d+):)?(\d+):(\d+)[.,](\d{1,3})\s*-->\s*(?:(\d+):)?(\d+):(\d+)[.,](\d{1,3})(?:\s.*)?")
_TAGS = re.compile(r"<[^>]*>")


def write_vtt(facts: Facts, clip: ClipEvents) -> Mapping[str, str]:
    """CLIP.vtt; notes say what is approximate or inferred, if anything is."""
    parts = ["WEBVTT\n"]
    for what, remark in remarks(facts).items():
        parts.append(f"\nNOTE {what}: {_vtt(remark)}\n")
    for onset, offset, text in _cues(facts, clip.events):
        parts.append(f"\n{_time(onset, '.')} --> {_time(offset, '.')}\n{_vtt(text)}\n")
    return {".vtt": "".join(parts)}


def write_srt(facts: Facts, clip: ClipEvents) -> Mapping[str, str]:
    """CLIP.srt."""
    cues = enumerate(_cues(facts, clip.events), 1)
    return {
        ".srt": "".join(
            f"{number}\n{_time(onset, ',')} --> {_time(offset, ',')}\n{text}\n\n"
            for number, (onset, offset, text) in cues
        )
    }


def _cues(facts: Facts, events: EventBlock) -> Iterator[tuple[int, int, str]]:
    """Begin and end in milliseconds, and what is shown, in the order in which they begin, then end."""
    for number in np.lexsort((events.label, events.stream, events.offset, events.onset)).tolist():
        onset, offset = round(1000 * float(events.onset[number])), round(1000 * float(events.offset[number]))
        stream, label = STREAMS[events.stream[number]], escaped(facts["labels"][events.label[number]])
        yield onset, max(offset, onset + 1), f"[{WORDS[stream]}] {label}"


def _time(milliseconds: int, point: str) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{point}{rest:03d}"


def _vtt(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def read_vtt(text: str) -> Iterator[ClipEvent]:
    """Cues as events, without what is marked up in them.

    Raises:
        ScoreError: it is no WebVTT.
    """
    if not text.startswith("WEBVTT"):
        raise ScoreError("it does not begin with WEBVTT: it is no such file")
    return _read(text, lambda label: html.unescape(_TAGS.sub("", label)))


def read_srt(text: str) -> Iterator[ClipEvent]:
    """Cues as events.

    Raises:
        ScoreError: it is no SubRip file.
    """
    return _read(text, str)


def _read(text: str, plain: Callable[[str], str]) -> Iterator[ClipEvent]:
    """A cue is a line with times and the lines after it, up to an empty one; lines before the times are its name."""
    words = {word: stream for stream, word in WORDS.items()}
    lines = enumerate(text.split("\n"), 1)
    for number, line in lines:
        if "-->" not in line:
            continue
        times = _TIMES.fullmatch(line)
        if times is None:
            raise ScoreError(f"line {number}: {shown(line)} are no times, as 00:00:02.500 --> 00:00:04.000")
        onset, offset = _seconds(times.groups()[:4]), _seconds(times.groups()[4:])
        said = []
        for _, more in lines:
            if not more:
                break
            said.append(more)
        label = plain("\n".join(said))
        found = _STREAM.fullmatch(label)
        yield ClipEvent(words[found[1]], found[2], onset, offset) if found else ClipEvent("", label, onset, offset)


def _seconds(parts: Sequence[str | None]) -> float:
    hours, minutes, seconds, rest = (part or "0" for part in parts)
    return (3600000 * int(hours) + 60000 * int(minutes) + 1000 * int(seconds) + int(rest.ljust(3, "0"))) / 1000


VTT, SRT = (
    Format(
        name,
        write_clip=write,
        read_list=clip_reader(f".{name}", read),
        ending=f".{name}",
        sorted_by_clip=True,
        has_scores=False,
    )
    for name, write, read in (("vtt", write_vtt, read_vtt), ("srt", write_srt, read_srt))
)

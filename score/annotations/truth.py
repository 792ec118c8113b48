"""Annotations of a split, and how they are laid beside scored clips."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from score.errors import AnnotationError

KINDS = ("llp", "ave")
SPLITS = ("train", "val", "test")
Annotation = tuple[str, float, float]
"""Label, onset and offset in seconds."""

_SUFFIX = re.compile(r"_\d+_\d+$")


@dataclass(frozen=True, eq=False)
class Truth:
    """Annotations laid beside n clips and C labels; bit s of a word is segment s.

    Attributes:
        rows: int64 (n,), for each clip of the split that was found, its number among the scored clips.
        visual: uint64 (n, C), segments in which a label is seen.
        audio: uint64 (n, C), segments in which it is heard.
        first: int64 (n, 3), label, start and end of the clip's first visual annotation; -1 where there is none.
    """

    rows: NDArray[np.int64]
    visual: NDArray[np.uint64]
    audio: NDArray[np.uint64]
    first: NDArray[np.int64]


@dataclass(frozen=True)
class Annotations:
    """Annotated events of the clips of one split.

    Attributes:
        kind: "llp" (several events, seen and heard apart) or "ave" (one audio-visual event a clip).
        split: "train", "val" or "test"; empty for annotations from Python.
        clip_ids: the clips of the split, annotated or not.
        visual: what is seen, by clip id.
        audio: what is heard, by clip id.
        origin: file and line at which a label first occurred, for messages.
        ignored: rows without length, which say nothing (LLP's files hold five).
    """

    kind: str
    split: str
    clip_ids: tuple[str, ...]
    visual: Mapping[str, Sequence[Annotation]]
    audio: Mapping[str, Sequence[Annotation]]
    origin: Mapping[str, str] = field(default_factory=dict)
    ignored: int = 0

    @classmethod
    def read(cls, kind: str, directory: str | PathLike[str], split: str = "test") -> Self:
        """Read a data set's own files.

        Args:
            kind: "llp" (AVVP_eval_audio.csv, AVVP_eval_visual.csv, AVVP_<split>_pd.csv) or "ave"
                (Annotations.txt with <split>Set.txt, or <split>_AVE.json).
            directory: the folder that holds them; for "ave" also a JSON file.
            split: "train", "val" or "test".

        Raises:
            AnnotationError: a file is missing or damaged, or the data set or split is unknown.
        """
        from score.annotations.ave import read_ave
        from score.annotations.llp import read_llp

        readers = {"llp": read_llp, "ave": read_ave}
        if kind not in readers:
            raise AnnotationError(f"no data set {kind!r}: there are {', '.join(readers)}")
        if split not in SPLITS:
            raise AnnotationError(f"no split {split!r}: there are {', '.join(SPLITS)}")
        path = Path(directory)
        if not path.exists():
            raise AnnotationError(f"{path} is not there: name the folder of the {kind.upper()} annotation files")
        found = cls(kind=kind, split=split, **readers[kind](path, split))
        if not found.clip_ids:
            raise AnnotationError(f"{path}: the {split} split has no clips")
        return found

    @classmethod
    def from_events(
        cls,
        events: Mapping[str, Mapping[str, Iterable[Annotation]]],
        labels: Sequence[str] | None = None,
        kind: str = "llp",
    ) -> Self:
        """Annotations from Python.

        Args:
            events: by clip id, lists of (label, onset, offset) under "visual" and "audio".
            labels: if given, every label must be one of these.
            kind: "llp" or "ave".

        Raises:
            AnnotationError: a label is unknown, or an event has no length.
        """
        known = None if labels is None else set(labels)
        sides: dict[str, dict[str, list[Annotation]]] = {"visual": {}, "audio": {}}
        for clip, by_side in events.items():
            strange = set(by_side) - sides.keys()
            if strange:
                raise AnnotationError(f"clip {clip}: {strange.pop()!r} is neither 'visual' nor 'audio'")
            for side, found in by_side.items():
                for label, onset, offset in found:
                    if known is not None and label not in known:
                        raise AnnotationError(f"clip {clip}: label {label!r} is not among the labels given")
                    if not (0 <= onset < offset):
                        raise AnnotationError(f"clip {clip}: {label} from {onset} to {offset} s has no length")
                    sides[side].setdefault(clip, []).append((label, float(onset), float(offset)))
        if not events:
            raise AnnotationError("no clips are annotated")
        return cls(kind=kind, split="", clip_ids=tuple(events), visual=sides["visual"], audio=sides["audio"])

    def align(
        self, clip_ids: Sequence[str], labels: Sequence[str], segments: int = 10, segment_seconds: float = 1.0
    ) -> Truth:
        """Lay the annotations beside scored clips.

        A clip id equals the annotated name, or that name without LLP's `_<start>_<end>`. A label equals an
        annotated one, case aside and with '_' for a space. A segment counts if the event touches it.

        Args:
            clip_ids: the scored clips.
            labels: the labels they were scored with.
            segments: T, segments a clip.
            segment_seconds: length of a segment in seconds.

        Raises:
            AnnotationError: an annotated label is not among the labels; names file and line.
        """
        places = {clip: number for number, clip in enumerate(clip_ids)}
        numbers = _Labels(labels, self.origin)
        rows, found = [], []
        for clip in self.clip_ids:
            at = places.get(clip, places.get(_SUFFIX.sub("", clip)))
            if at is not None:
                rows.append(at)
                found.append(clip)
        words = np.zeros((2, len(found), len(labels)), dtype=np.uint64)
        first = np.full((len(found), 3), -1, dtype=np.int64)
        for side, by_clip in enumerate((self.visual, self.audio)):
            for number, clip in enumerate(found):
                for label, onset, offset in by_clip.get(clip, ()):
                    start = max(0, math.floor(onset / segment_seconds + 1e-9))
                    end = min(segments, math.ceil(offset / segment_seconds - 1e-9))
                    if start >= end:
                        continue
                    k = numbers[label]
                    words[side, number, k] |= np.uint64(((1 << (end - start)) - 1) << start)
                    if side == 0 and first[number, 0] < 0:
                        first[number] = k, start, end
        return Truth(np.array(rows, dtype=np.int64), words[0], words[1], first)

    def missing(self, clip_ids: Sequence[str]) -> list[str]:
        """Clips of the split that are not among these."""
        there = set(clip_ids)
        return [clip for clip in self.clip_ids if clip not in there and _SUFFIX.sub("", clip) not in there]


class _Labels:
    """Numbers of labels, exact first, then with case and '_' aside."""

    def __init__(self, labels: Sequence[str], origin: Mapping[str, str]) -> None:
        self._labels = labels
        self._origin = origin
        self._exact = {label: number for number, label in enumerate(labels)}
        self._folded: dict[str, int] = {}
        for number, label in enumerate(labels):
            self._folded.setdefault(_fold(label), number)

    def __getitem__(self, label: str) -> int:
        number = self._exact.get(label, self._folded.get(_fold(label)))
        if number is None:
            where = self._origin.get(label, "annotations")
            some = ", ".join(self._labels[:3])
            raise AnnotationError(
                f"{where}: label {label!r} is not among the {len(self._labels)} labels scored ({some}, ...): "
                "extract with the data set's labels"
            )
        return number


def _fold(label: str) -> str:
    return label.lower().replace("_", " ")


def as_number(text: Any, where: str, column: str) -> float:
    """A number from a file.

    Raises:
        AnnotationError: it is none, or negative.
    """
    try:
        value = float(text)
    except (TypeError, ValueError):
        value = math.nan
    if not (value >= 0 and math.isfinite(value)):
        raise AnnotationError(f"{where}: {column} {text!r} is not a time in seconds")
    return value

"""Polyphonic sound detection scores: what probabilities are worth whatever the threshold, by sed_scores_eval.

C. Bilen et al., A Framework for the Robust Evaluation of Sound Event Detection, ICASSP 2020; J. Ebbers, R. Serizel,
R. Haeb-Umbach, Threshold-Independent Evaluation of Sound Event Detection Scores, ICASSP 2022.
"""

import csv
import json
import math
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_cache.names import shortened
from feature_cache.text_files import TextFileError, read_text
from score.choices import STREAMS
from score.datasets import Annotations
from score.datasets.base import Table
from score.datasets.match import LabelNumbers, match_clips
from score.errors import AnnotationError, ScoreError
from score.evaluation import check_coverage
from score.formats.clip_names import clip_of
from score.runs import joined_runs, overlaps

SCENARIOS: Mapping[str, Mapping[str, float]] = {
    "1": {"dtc_threshold": 0.7, "gtc_threshold": 0.7, "alpha_ct": 0.0, "alpha_st": 1.0},
    "2": {"dtc_threshold": 0.1, "gtc_threshold": 0.1, "cttc_threshold": 0.3, "alpha_ct": 0.5, "alpha_st": 1.0},
}
"""Parameters of the two scenarios of DCASE's task 4: fast reactions, and no confusions."""
MOST_FALSE_ALARMS = 100.0
"""Effective false positives an hour up to which is looked."""
FILTERS = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0)
"""Seconds of the median filters of which piPSDS takes the best at each point; 0 is none."""
_MOST_BYTES = 16 << 20
_MOST_LABELS = 10_000


@dataclass(frozen=True)
class ScoreReport:
    """What scores are worth against annotations.

    Attributes:
        stream: of the annotations.
        clips: number of clips compared.
        metrics: "psds-1", "psds-2", "pi-psds-1" and "pi-psds-2", in percent.
        per_class: "psds-1" and "psds-2" by label, in percent.
        left_out: labels that have scores and are nowhere true.
        others: number of clips with scores that are not annotated.
    """

    stream: str
    clips: int
    metrics: Mapping[str, float]
    per_class: Mapping[str, Mapping[str, float]]
    left_out: tuple[str, ...]
    others: int

    def to_dict(self) -> dict[str, Any]:
        """Everything, JSON-able."""
        return {
            "stream": self.stream,
            "clips": self.clips,
            "metrics": dict(self.metrics),
            "per_class": {label: dict(values) for label, values in self.per_class.items()},
            "labels_nowhere_true": list(self.left_out),
            "clips_not_annotated": self.others,
        }

    def tables(self, per_class: bool = False) -> Sequence[Table]:
        """Tables for people: a header and rows each."""
        rows: list[tuple[Any, ...]] = [
            (f"scenario {name}", self.metrics[f"psds-{name}"], self.metrics[f"pi-psds-{name}"]) for name in SCENARIOS
        ]
        found: list[Table] = [((f"scores, {self.stream}, {self.clips} clips", "PSDS %", "piPSDS %"), rows)]
        if per_class:
            by_label: list[tuple[Any, ...]] = [
                (label, *(values[f"psds-{name}"] for name in SCENARIOS)) for label, values in self.per_class.items()
            ]
            found.append((("PSDS % of a label", *(f"scenario {name}" for name in SCENARIOS)), by_label))
        return found


def psds(
    scores: str | PathLike[str], annotations: Annotations, *, stream: str | None = None, partial: bool = False
) -> ScoreReport:
    """Compare probabilities with annotations, whatever the threshold.

    Labels that are true nowhere are left out, as nothing of them can be found; clips that are not annotated are, too.

    Args:
        scores: a folder with a tab-separated file a clip, ``<clip>.tsv``, whose columns are onset, offset and a score a
            label, windows without gaps; or a folder with one of those for each stream, as ``audio/probability``.
        annotations: what is there.
        stream: whose events are meant; by default "audio".
        partial: accept that annotated clips have no scores; they are left out.

    Raises:
        ScoreError: sed_scores_eval is not installed, or a file of scores is none.
        AnnotationError: clips have no scores, nothing is annotated in the stream, or a label has no column.

    Example:
        >>> truth = read_annotations("events", "mine.tsv", stream="audio")
        >>> psds("scores/audio/probability", truth).metrics["psds-1"]
        41.2
    """
    package = _package()
    name = "audio" if stream is None else stream
    if name not in annotations.streams:
        streams = ", ".join(annotations.streams)
        raise AnnotationError(f"the truth has no {name} events, but {streams}: choose with `stream`")
    folder = _folder(Path(scores), name)
    files = _files(folder)
    found = match_clips(annotations.clip_ids, list(files))
    check_coverage([clip for clip in annotations.clip_ids if clip not in found], annotations, partial)
    truth = {clip: _truth(annotations, clip, name) for clip in found}
    there = dict.fromkeys(label for events in truth.values() for label, _, _ in events)
    if not there:
        raise AnnotationError(f"nothing is annotated in the {name} stream of the {len(found)} clips that have scores")
    tables, others = _tables(files, found, tuple(there), annotations.origin)
    column = {label: str(number) for number, label in enumerate(there)}  # labels may be any text
    frames = {
        clip: package.base_modules.scores.create_score_dataframe(values, times, list(column.values()))
        for clip, (times, values) in tables.items()
    }
    ends = {clip: float(times[-1]) for clip, (times, _) in tables.items()}
    events = {clip: [(onset, offset, column[label]) for label, onset, offset in some] for clip, some in truth.items()}
    metrics: dict[str, float] = {}
    per_class: dict[str, dict[str, float]] = {label: {} for label in there}
    for scenario, given in SCENARIOS.items():
        shared: dict[str, Any] = {**given, "unit_of_time": "hour", "max_efpr": MOST_FALSE_ALARMS}
        if len(there) == 1:  # there is nothing to be mistaken for
            shared = {**shared, "alpha_ct": 0.0, "cttc_threshold": None}
        value, by_label, free = _scores_of(package, frames, events, ends, shared)
        metrics[f"psds-{scenario}"], metrics[f"pi-psds-{scenario}"] = 100.0 * float(value), 100.0 * float(free)
        for label, number in column.items():
            per_class[label][f"psds-{scenario}"] = 100.0 * float(by_label[number])
    return ScoreReport(name, len(found), metrics, per_class, tuple(others), len(files) - len(found))


def _package() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import sed_scores_eval  # heavy, and not in every installation
    except ImportError as error:
        raise ScoreError(f"PSDS needs sed_scores_eval ({error}): pip install 'av2a[sed]'") from error
    return sed_scores_eval


def _scores_of(package: Any, frames: Any, events: Any, ends: Any, shared: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """PSDS, PSDS by label, and piPSDS, as fractions."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value, by_label, *_ = package.intersection_based.psds(frames, events, ends, **shared)
            free, *_ = package.intersection_based.median_filter_independent_psds(
                frames, events, ends, median_filter_lengths_in_sec=list(FILTERS), **shared
            )
    except Exception as error:
        why = shortened(str(error) or type(error).__name__, 120)
        raise ScoreError(
            f"sed_scores_eval failed ({why}): pip install 'av2a[sed]' brings what it works with"
        ) from error
    return value, by_label, free


def _folder(path: Path, stream: str) -> Path:
    """The folder of a stream's scores."""
    within = path / stream / "probability"
    if within.is_dir():
        return within
    if not path.is_dir():
        raise ScoreError(f"{path} is no folder: name one with a .tsv file a clip, or one of scores by stream")
    if any((path / name).is_dir() for name in STREAMS):
        raise ScoreError(f"{path} has no scores of the {stream} stream ({stream}/probability): choose another `stream`")
    return path


def _files(folder: Path) -> dict[str, Path]:
    """Files of scores by clip; where a clip's id is no name of a file, a list of names beside them says so."""
    stated: dict[str, str] = {}
    facts = folder.parent.parent / "scores.json"
    if facts.is_file():
        try:
            names = json.loads(read_text(facts, _MOST_BYTES)).get("file_names", {})
            stated = {str(file): str(clip) for clip, file in names.items()}
        except (ValueError, AttributeError, RecursionError, TextFileError) as error:
            raise ScoreError(f"{facts} is damaged ({shortened(str(error), 100)}): score again") from error
    found: dict[str, Path] = {}
    for file in sorted(folder.rglob("*.tsv")):
        name = file.relative_to(folder).as_posix()
        found[stated.get(name, clip_of(name.removesuffix(".tsv")))] = file
    if not found:
        raise ScoreError(f"{folder} has no .tsv files: one a clip is expected, with onset, offset and a column a label")
    return found


def _truth(annotations: Annotations, clip: str, stream: str) -> list[tuple[str, float, float]]:
    """True events of a clip; those of a label that touch or overlap are one."""
    sides = {"visual": annotations.visual, "audio": annotations.audio, "audiovisual": annotations.audiovisual or {}}
    names: dict[str, int] = {}

    def runs(side: str) -> Any:
        events = [(names.setdefault(label, len(names)), *times) for label, *times in sides[side].get(clip, ())]
        table = np.array(events, dtype=np.float64).reshape(-1, 3)
        return joined_runs(table[:, 0].astype(np.int64), table[:, 1], table[:, 2])

    both = stream == "audiovisual" and annotations.audiovisual is None
    found = overlaps(runs("visual"), runs("audio")).common if both else runs(stream)
    labels = list(names)
    rows = zip(found.key.tolist(), found.start.tolist(), found.end.tolist(), strict=True)
    return [(labels[key], start, end) for key, start, end in rows]


def _tables(
    files: Mapping[str, Path], found: Mapping[str, int], labels: Sequence[str], origin: Mapping[str, str]
) -> tuple[dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]], list[str]]:
    """By clip, edges of windows (T + 1,) and scores (T, labels); and the labels of the other columns.

    Raises:
        ScoreError: a file is no such table, or has other columns than the first.
        AnnotationError: a label has no column.
    """
    by_number = list(files.values())
    header: list[str] = []
    places: list[int] = []
    tables = {}
    for clip, number in found.items():
        file = by_number[number]
        rows = _rows(file)
        first = next(rows, [])
        if not header:
            if first[:2] != ["onset", "offset"] or not 2 < len(first) <= _MOST_LABELS or len(set(first)) < len(first):
                raise ScoreError(f"{file} line 1: write the columns onset, offset and one for each label")
            header = first
            index = LabelNumbers(header[2:], origin)
            places = [2 + index[label] for label in labels]
        if first != header:
            raise ScoreError(f"{file} line 1: its columns are not those of {by_number[next(iter(found.values()))]}")
        tables[clip] = _numbers(file, rows, places)
    others = [name for number, name in enumerate(header) if number > 1 and number not in places]
    return tables, others


def _rows(file: Path) -> Iterator[list[str]]:
    try:
        lines = read_text(file, _MOST_BYTES).splitlines()
    except TextFileError as error:
        raise ScoreError(str(error)) from error
    return csv.reader(lines, delimiter="\t")


def _numbers(
    file: Path, rows: Iterable[list[str]], places: Sequence[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:  # fmt: skip
    edges: list[float] = []
    values = []
    for line, row in enumerate(rows, start=2):
        if not row:
            continue
        try:
            onset, offset = float(row[0]), float(row[1])
            values.append([float(row[place]) for place in places])
        except (ValueError, IndexError) as error:
            raise ScoreError(f"{file} line {line}: a number is expected in every column: correct it") from error
        if not all(map(math.isfinite, (onset, offset, *values[-1]))):
            raise ScoreError(f"{file} line {line}: a number is not finite: write 0 where there is no score")
        if (edges and abs(onset - edges[-1]) > 1e-6) or onset >= offset or onset < 0:
            raise ScoreError(
                f"{file} line {line}: {onset:g} to {offset:g} s, but windows follow each other: correct it"
            )
        edges += [offset] if edges else [onset, offset]
    if not values:
        raise ScoreError(f"{file} has no windows: a line each is expected, with onset, offset and scores")
    return np.array(edges), np.array(values)

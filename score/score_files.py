"""Files of segment scores: a folder of TSV as `sed_scores_eval` reads it, .npz or .parquet (docs/scores.md).

They are written as blocks of clips come, whole or not at all.
"""

import csv
import io
import itertools
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from feature_cache.file_names import file_name
from feature_cache.storage.atomic import whole_outputs
from feature_cache.storage.new_folder import new_folder
from score.choices import FUSIONS, LATE, STREAMS
from score.clip_scores import SegmentScores, segment_edges
from score.errors import ScoreError
from score.event_facts import EventFacts
from score.formats.parquet_events import arrow_packages

FORMAT = "av2a-scores"
VERSION = 1
ENDINGS = (".npz", ".parquet")
"""Of files; what has no ending is a folder."""
KINDS = ("probability", "threshold")
FACTS = "scores.json"
"""The file of a folder that says what is in it, by which it is known as such a folder."""
_ROWS = 1 << 16
"""Rows of a row group of Parquet, or a few more."""
_FIRST = 4096
"""Characters of a folder's facts that tell whose it is."""

Take = Callable[[SegmentScores], None]


@contextmanager
def scores_output(path: str | PathLike[str]) -> Iterator[Take]:
    """What takes blocks of segment scores, all clips of their facts in order; they are written when the block ends.

    Args:
        path: a folder for TSV files, or a file that ends in .npz or .parquet. A folder of scores, or an empty one, is
            replaced.

    Raises:
        ScoreError: no such ending, something else is there, or it cannot be written.
    """
    target = Path(path)
    ours = True  # whether what is being done is to write them
    try:
        with _writer_of(target)(target) as take:

            def taken(block: SegmentScores) -> None:
                nonlocal ours
                ours = True
                take(block)
                ours = False

            ours = False
            yield taken
            ours = True
    except OSError as error:
        if not ours:
            raise
        raise ScoreError(f"{target}: cannot be written ({error.strerror or error})") from error


def _writer_of(path: Path) -> Callable[[Path], AbstractContextManager[Take]]:
    if path.is_dir() or not path.suffix:
        _check_folder(path)
        return _tsv_output
    writers = {".npz": _npz_output, ".parquet": _parquet_output}
    if path.suffix.lower() not in writers:
        raise ScoreError(
            f"{path}: ending {path.suffix!r} is not known: use one of {', '.join(writers)}, or none for a folder of TSV"
        )
    return writers[path.suffix.lower()]


# --- TSV ------------------------------------------------------------------------------------------------------


def _check_folder(path: Path) -> None:
    """Refuse to replace what is no folder of scores."""
    if not path.exists():
        return
    if not path.is_dir():
        raise ScoreError(f"{path} is a file: name another folder, or an ending ({', '.join(ENDINGS)})")
    names = {entry.name for entry in path.iterdir()}
    if names and not (names <= {FACTS, *STREAMS} and _ours(path / FACTS)):
        raise ScoreError(f"{path} is there and holds other files: name another folder")


def _ours(facts: Path) -> bool:
    try:
        with facts.open(encoding="utf-8", errors="replace") as file:
            return f'"format": "{FORMAT}"' in file.read(_FIRST)
    except OSError:
        return False


@contextmanager
def _tsv_output(path: Path) -> Iterator[Take]:
    """STREAM/probability/CLIP.tsv and STREAM/threshold/CLIP.tsv; what there is none of is 0 (see _numbers)."""
    with new_folder(path) as folder:
        facts: EventFacts | None = None
        names: dict[str, str] = {}

        def take(block: SegmentScores) -> None:
            nonlocal facts
            if facts is None:
                facts = block.facts
                for stream in _streams(facts):
                    for kind in KINDS:
                        (folder / stream / kind).mkdir(parents=True)
            edges = segment_edges(facts).tolist()
            spans = [f"{onset!r}\t{offset!r}" for onset, offset in itertools.pairwise(edges)]
            header = _line(["onset", "offset", *facts.labels])
            numbers = dict(zip(KINDS, _numbers(block), strict=True))
            for row, clip in enumerate(block.clip_ids):
                name = file_name(clip, ".tsv")
                if name != f"{clip}.tsv":
                    names[clip] = name
                for stream in _streams(facts):
                    for kind, values in numbers.items():
                        rows = values[row, STREAMS.index(stream)].tolist()
                        text = header + "".join(
                            f"{span}\t{chr(9).join(map(repr, row))}\n" for span, row in zip(spans, rows, strict=True)
                        )
                        with (folder / stream / kind / name).open("x", encoding="utf-8", newline="") as file:
                            file.write(text)

        yield take
        if facts is not None:
            stated = {**_stamped(facts), "file_names": names}
            (folder / FACTS).write_text(json.dumps(stated, indent=1) + "\n", encoding="utf-8")


def _numbers(block: SegmentScores) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Probabilities and thresholds without NaN: 0 and 0, which is not positive, for what is not in play.

    Behind a segment without spread, where there are probabilities and no thresholds, these are infinite.
    """
    probability = np.nan_to_num(block.probability, nan=0.0)
    never = np.isnan(block.threshold)
    threshold = np.where(never, np.where(probability > 0, np.inf, 0.0), block.threshold)
    flat = np.isnan(block.probability) & (threshold < 0)  # 0 would exceed it
    return probability, np.where(flat, 0.0, threshold)


def _line(cells: Sequence[str]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter="\t", lineterminator="\n").writerow(cells)
    return text.getvalue()


def _streams(facts: EventFacts) -> tuple[str, ...]:
    """Streams that are compared with thresholds of their own: late fusion makes one of the others' events (4.7)."""
    late = getattr(facts.config, "fusion", None) == FUSIONS[LATE]
    return tuple(stream for stream in STREAMS if not (late and stream == "audiovisual"))


def _stamped(facts: EventFacts) -> dict[str, Any]:
    """What is known of the scores beside themselves."""
    known = facts.to_dict()
    names = ("rule", "config", "cache", "segments", "segment_seconds", "left_out", "missing")
    return {"format": FORMAT, "version": VERSION, **{name: known[name] for name in names if name in known}}


# --- .npz -----------------------------------------------------------------------------------------------------


@contextmanager
def _npz_output(path: Path) -> Iterator[Take]:
    """Arrays of all clips, written one after the other: thresholds wait in a file without a name."""
    with whole_outputs([path]) as (file,), ExitStack() as stack:
        archive = stack.enter_context(zipfile.ZipFile(file, "w", zipfile.ZIP_STORED))
        waiting = stack.enter_context(tempfile.TemporaryFile(dir=_folder_of(path)))
        first: BinaryIO | None = None
        shape: tuple[int, ...] = ()

        def take(block: SegmentScores) -> None:
            nonlocal first, shape
            if first is None:
                facts = block.facts
                edges = segment_edges(facts)
                _put(archive, "clips", facts.clip_ids)
                _put(archive, "labels", facts.labels)
                _put(archive, "streams", STREAMS)
                _put(archive, "facts", (json.dumps(_stamped(facts)),))
                for name, values in (("onset", edges[:-1]), ("offset", edges[1:])):
                    with _entry(archive, name, values.shape, values.dtype) as entry:
                        entry.write(values.tobytes())
                shape = (len(facts.clip_ids), len(STREAMS), facts.segments, len(facts.labels))
                first = stack.enter_context(_entry(archive, "probability", shape, block.probability.dtype))
            first.write(np.ascontiguousarray(block.probability).data)
            waiting.write(np.ascontiguousarray(block.threshold).data)

        yield take
        if first is not None:
            first.close()
            waiting.seek(0)
            with _entry(archive, "threshold", shape, np.dtype(np.float64)) as entry:
                shutil.copyfileobj(waiting, entry, 1 << 20)


def _folder_of(path: Path) -> Path:
    return Path(os.path.realpath(path)).parent


@contextmanager
def _entry(archive: zipfile.ZipFile, name: str, shape: tuple[int, ...], dtype: Any) -> Iterator[BinaryIO]:
    """An array of an archive, to be written in pieces."""
    with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as entry:
        header = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(entry, header)
        yield entry  # type: ignore[misc]


def _put(archive: zipfile.ZipFile, name: str, texts: Sequence[str]) -> None:
    """An array of texts, as wide as the longest of them."""
    dtype = np.dtype(f"<U{max(map(len, texts))}")
    with _entry(archive, name, (len(texts),), dtype) as entry:
        for at in range(0, len(texts), _ROWS):
            entry.write(np.array(texts[at : at + _ROWS], dtype=dtype).tobytes())


# --- Parquet --------------------------------------------------------------------------------------------------


@contextmanager
def _parquet_output(path: Path) -> Iterator[Take]:
    """A row a clip, stream, label and segment; null where there is no probability or threshold."""
    arrow, parquet = arrow_packages()
    text = arrow.dictionary(arrow.int32(), arrow.string())
    names = {"clip": text, "stream": text, "label": text}
    numbers = dict.fromkeys(("onset", "offset", *KINDS), arrow.float64())
    schema = arrow.schema([*names.items(), *numbers.items()])
    with whole_outputs([path]) as (file,), ExitStack() as stack:
        writer: Any = None
        held: list[SegmentScores] = []

        def write() -> None:
            if held:
                writer.write_table(arrow.Table.from_arrays(_columns(arrow, held), schema=schema))
            held.clear()

        def take(block: SegmentScores) -> None:
            nonlocal writer
            if writer is None:
                writer = stack.enter_context(
                    parquet.ParquetWriter(file, schema, compression="zstd", store_schema=False)
                )
                writer.add_key_value_metadata({FORMAT.encode(): json.dumps(_stamped(block.facts))})
            held.append(block)
            if sum(each.probability.size for each in held) >= _ROWS:
                write()

        yield take
        write()


def _columns(arrow: Any, blocks: Sequence[SegmentScores]) -> list[Any]:
    """Columns of some clips: labels change faster than streams, segments faster than labels."""
    facts, edges = blocks[0].facts, segment_edges(blocks[0].facts)
    clips = [clip for block in blocks for clip in block.clip_ids]
    n, streams, segments, labels = len(clips), len(STREAMS), facts.segments, len(facts.labels)
    shape = (n, streams, labels, segments)

    def words(texts: Sequence[str], axis: int) -> Any:
        place = np.arange(shape[axis], dtype=np.int32).reshape([-1 if at == axis else 1 for at in range(len(shape))])
        numbers = np.ascontiguousarray(np.broadcast_to(place, shape)).reshape(-1)
        return arrow.DictionaryArray.from_arrays(arrow.array(numbers), arrow.array(list(texts), arrow.string()))

    def seconds(values: NDArray[np.float64]) -> Any:
        return arrow.array(np.ascontiguousarray(np.broadcast_to(values, shape)).reshape(-1))

    def compared(kind: str) -> Any:
        values = np.concatenate([getattr(block, kind) for block in blocks])
        flat = np.ascontiguousarray(values.transpose(0, 1, 3, 2)).reshape(-1)
        return arrow.array(flat, mask=np.isnan(flat))

    named = [words(clips, 0), words(STREAMS, 1), words(facts.labels, 2)]
    return [*named, seconds(edges[:-1]), seconds(edges[1:]), *map(compared, KINDS)]

"""Parquet: a column each for clip, stream, label, onset, offset and score; the facts are the file's metadata."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from score.choices import STREAMS
from score.errors import ScoreError
from score.formats.base import EventBlock, Facts, Format, NamedEvents, Progress, larger
from score.formats.json_events import check_stamp, stamped
from score.formats.json_records import decoded
from score.formats.sources import open_source

ROWS = 1 << 16
"""Events a row group, or a few more."""
_METADATA = b"av2a-events"
_TEXTS, _NUMBERS = ("clip", "stream", "label"), ("onset", "offset", "score")
_MOST_METADATA = 2**31 - 1
"""Bytes; Arrow's own limit is 100 MB."""


def write_parquet(facts: Facts, blocks: Iterable[EventBlock], files: Sequence[BinaryIO]) -> None:
    """One file, a row group for each of the larger blocks that come.

    Raises:
        ScoreError: pyarrow is not installed.
    """
    arrow, parquet = arrow_packages()
    text = arrow.dictionary(arrow.int32(), arrow.string())
    types = [*((name, text) for name in _TEXTS), *((name, arrow.float64()) for name in _NUMBERS)]
    schema = arrow.schema(types)
    with parquet.ParquetWriter(files[0], schema, compression="zstd", store_schema=False) as writer:
        writer.add_key_value_metadata({_METADATA: json.dumps(stamped(facts))})
        for block in larger(blocks, ROWS):
            columns = [
                _words(arrow, block.clip, facts["clips"]),
                _words(arrow, block.stream, STREAMS),
                _words(arrow, block.label, facts["labels"]),
                *(arrow.array(column) for column in block.columns[3:]),
            ]
            writer.write_table(arrow.Table.from_arrays(columns, schema=schema))


def _words(arrow: Any, numbers: Any, names: Sequence[str]) -> Any:
    used, at = np.unique(numbers, return_inverse=True)
    words = arrow.array([names[number] for number in used.tolist()], arrow.string())
    return arrow.DictionaryArray.from_arrays(arrow.array(at.astype(np.int32)), words)


def read_parquet(path: Path, progress: Progress) -> tuple[Facts, Iterator[NamedEvents]]:
    """What :func:`write_parquet` wrote.

    Raises:
        ScoreError: the file is missing, no Parquet, or something else; or pyarrow is not installed.
    """
    arrow, parquet = arrow_packages()
    file, size = open_source(path)
    try:
        found = parquet.ParquetFile(
            file, thrift_string_size_limit=_MOST_METADATA, thrift_container_size_limit=_MOST_METADATA
        )
        raw = (found.metadata.metadata or {}).get(_METADATA)
        schema = found.schema_arrow
    except (arrow.ArrowException, OSError) as error:
        raise ScoreError(f"it is no Parquet file, or damaged ({_line(error)}): score again") from error
    if raw is None:
        raise ScoreError(f"it is no events file of av2a: `score(..., output='{path.stem}.parquet')` makes one")
    try:
        facts = decoded(raw)
    except (ValueError, RecursionError) as error:
        raise ScoreError(f"damaged (its metadata: {error}): score again") from error
    if not isinstance(facts, dict):
        raise ScoreError("damaged (its metadata are no facts): score again")
    check_stamp(facts, f"{path.stem}.parquet")
    for names, kinds in ((_TEXTS, (arrow.string(), arrow.large_string())), (_NUMBERS, (arrow.float64(),))):
        for name in names:
            at = schema.get_field_index(name)
            kind = schema.field(at).type if at >= 0 else None
            if kind not in kinds:
                raise ScoreError(f"damaged (column {name!r} is {kind or 'missing'}): score again")
    return facts, _batches(found, arrow, size, progress)


def _batches(file: Any, arrow: Any, size: int, progress: Progress) -> Iterator[NamedEvents]:
    rows, done = file.metadata.num_rows, 0
    try:
        for batch in file.iter_batches(ROWS, columns=[*_TEXTS, *_NUMBERS]):
            for name in (*_TEXTS, *_NUMBERS):
                if batch.column(name).null_count:
                    raise ScoreError(f"damaged (an event has no {name!r}): score again")
            done += len(batch)
            yield NamedEvents(
                *(batch.column(name).to_pylist() for name in _TEXTS), *(batch.column(name) for name in _NUMBERS)
            )
            progress(size * done // max(rows, 1), size)
    except (arrow.ArrowException, OSError) as error:
        raise ScoreError(f"damaged ({_line(error)}): score again") from error


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def arrow_packages() -> tuple[Any, Any]:
    """Modules pyarrow and pyarrow.parquet.

    Raises:
        ScoreError: they are not installed.
    """
    try:
        import pyarrow  # heavy, and not in every installation
        import pyarrow.parquet
    except ImportError as error:
        raise ScoreError("Parquet files need pyarrow: pip install 'av2a[search]'") from error
    return pyarrow, pyarrow.parquet


PARQUET = Format("parquet", write_parquet, read=read_parquet, ending=".parquet")

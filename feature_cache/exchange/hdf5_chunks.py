"""Chunks of HDF5 files of strangers: looked at before the library unpacks them, which it does without a bound."""

import itertools
import math
import zlib
from collections.abc import Iterator

import h5py
import numpy as np

from feature_cache.errors import CacheError
from feature_cache.tables import check_packed, first_line

MOST_DEFLATED = 1032
"""Bytes that a byte of deflate can become."""
HARMLESS = 256 << 20
"""Bytes: a chunk that cannot become longer than it should be by more is not unpacked to see."""
MOST_CHUNKS = 1_000_000
_AT_ONCE = 1 << 20


def check_chunks(source: str, dataset: h5py.Dataset, start: int, stop: int) -> None:
    """Refuse chunks of the rows [start, stop) that unpack to more than the dataset says.

    Args:
        source: file and dataset, for errors.
        dataset: any; those without chunks or filters have nothing to unpack.
        start: first row.
        stop: one past the last.

    Raises:
        CacheError: a chunk is far larger than what is stored of it, or longer than a chunk is.
    """
    if not dataset.chunks:
        return
    filters = _filters(dataset)
    if not filters:
        return
    size = int(np.prod(dataset.chunks, dtype=object)) * dataset.dtype.itemsize
    deflated = filters.count(h5py.h5z.FILTER_DEFLATE)
    if deflated > 1:
        raise CacheError(f"{source} is compressed {deflated} times over: write it again, compressed once")
    count = math.prod(-(-length // step) for length, step in zip(dataset.shape[1:], dataset.chunks[1:], strict=True))
    if count * (stop - start) // dataset.chunks[0] > MOST_CHUNKS:
        raise CacheError(
            f"{source}: chunks of {size} bytes, millions of them in {stop - start} rows: write larger ones"
        )
    try:
        for place in _places(dataset, start, stop):
            found = dataset.id.get_chunk_info_by_coord(place)
            stored = found.size or 0
            if found.byte_offset is None or not stored:
                continue
            check_packed(f"{source}: chunks {dataset.chunks}", size, stored)
            longer = stored > 2 * size + (64 << 10)
            if not longer and deflated and stored * MOST_DEFLATED > size + HARMLESS:
                longer = _unpacks_to_more(dataset, place, found.filter_mask, size, filters)
            if longer:
                raise CacheError(
                    f"{source}: rows {start} to {stop - 1}: a chunk of {size} bytes holds more than that: it is damaged"
                )
    except (OSError, RuntimeError, ValueError, TypeError) as error:
        raise CacheError(f"{source}: rows {start} to {stop - 1} cannot be read ({first_line(error)})") from error


def _filters(dataset: h5py.Dataset) -> list[int]:
    found = dataset.id.get_create_plist()
    return [found.get_filter(number)[0] for number in range(found.get_nfilters())]


def _places(dataset: h5py.Dataset, start: int, stop: int) -> Iterator[tuple[int, ...]]:
    """Where the chunks of some rows begin."""
    chunks = dataset.chunks
    rows = range(start - start % chunks[0], stop, chunks[0])
    others = (range(0, length, step) for length, step in zip(dataset.shape[1:], chunks[1:], strict=True))
    yield from itertools.product(rows, *others)


def _unpacks_to_more(
    dataset: h5py.Dataset, place: tuple[int, ...], skipped: int, size: int, filters: list[int]
) -> bool:
    """Whether a deflated chunk becomes longer than it should, checksums of other filters aside."""
    number = filters.index(h5py.h5z.FILTER_DEFLATE)
    last = all(filters[later] == h5py.h5z.FILTER_FLETCHER32 for later in range(number + 1, len(filters)))
    if skipped & 1 << number or not last:
        return False
    _, raw = dataset.id.read_direct_chunk(place)
    unpacked, left, rest = zlib.decompressobj(), size + 4 * len(filters), raw
    while rest and left >= 0 and not unpacked.eof:
        left -= len(unpacked.decompress(rest, _AT_ONCE))
        rest = unpacked.unconsumed_tail
    return left < 0

"""How much memory a search may take, and what for: whatever the number of clips, so much and no more."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from score.errors import ScoreError
from score.kernels.label_subsets import BYTES_A_CLIP

MEMORY = "2GiB"
"""What a search may take by default."""

PROGRAM = 256 << 20
"""The program itself, its libraries and its compiled kernels among it."""
_CACHE_ROW = 350
"""A clip of the cache: its name, its status, its place among others by name."""
_ANNOTATED = 700
"""A clip that is annotated: its name and a few events."""
_CLIPS_AT_ONCE = 512
ROWS_AT_ONCE = 256
_READS_AT_ONCE = 2
_UNPACKED = 4
"""Times a shard on its way from the disk: packed, unpacked, put together, and what the system does not take back."""
_HELD = 3
"""Times the clips read back at once: those before, those at work, those that are read ahead."""

_UNITS = {"": 1, "b": 1, **{f"{prefix}b": 1000**power for power, prefix in enumerate("kmgt", start=1)}}
_UNITS |= {f"{prefix}ib": 1024**power for power, prefix in enumerate("kmgt", start=1)}
_SIZE = re.compile(r"\s*(\d{1,18}(?:\.\d{1,18})?)\s*([a-z]*)\s*", re.IGNORECASE | re.ASCII)


def parse_size(given: int | str) -> int:
    """Bytes, from a number of them or a text such as "2GiB" or "500MB".

    Raises:
        ScoreError: it is no size.

    Example:
        >>> parse_size("500MB"), parse_size("1.5 GiB")
        (500000000, 1610612736)
    """
    found = _SIZE.fullmatch(str(given))
    unit = _UNITS.get(found[2].lower()) if found else None
    size = int(float(found[1]) * unit) if found and unit else 0
    if size < 1 or isinstance(given, bool):
        raise ScoreError(f"memory {str(given)[:40]!r} is no size: write it as 2GiB, 500MB or a number of bytes")
    return size


def size_text(size: int) -> str:
    """Bytes as a text that :func:`parse_size` reads, in whole MiB, rounded up."""
    return f"{-(-size >> 20)}MiB"


@dataclass(frozen=True)
class SplitNeeds:
    """What the clips of a split take.

    Attributes:
        clips: n.
        clip_bytes: logits and truth of a clip.
        annotated: clips of the split, found or not.
    """

    clips: int
    clip_bytes: int
    annotated: int

    @property
    def bytes(self) -> int:
        """Of all clips."""
        return self.clips * self.clip_bytes


@dataclass(frozen=True)
class BatchNeeds:
    """What a batch of settings takes.

    Attributes:
        kept: of all of it, until it is done.
        thread: the same, in each thread.
        work: working memory of a thread at least; more of it saves work.
    """

    kept: int
    thread: int
    work: int


@dataclass(frozen=True)
class Needs:
    """What a search takes.

    Attributes:
        splits: the split that is tuned on, then the one that is reported on, if that is another.
        settings: that are tried.
        cache_rows: N.
        row_bytes: embeddings of a clip, as they are stored.
        shard_rows: rows that are read at once at least.
        tables: what is kept of all settings and of all clips until the end.
        batch: of settings.
        threads: that are wanted.
    """

    splits: Sequence[SplitNeeds]
    settings: int
    cache_rows: int
    row_bytes: int
    shard_rows: int
    tables: int
    batch: BatchNeeds
    threads: int


@dataclass(frozen=True)
class Room:
    """How a search goes about with the memory that it has.

    Attributes:
        threads: that work on clips.
        thread_bytes: working memory of each (:class:`score.rules.base.Split`).
        clips: clips that are read back at a time, by each thread.
        rows: rows of the cache that are read at a time.
        reads: such reads at a time.
        in_memory: for each split, whether its logits stay in memory.
    """

    threads: int
    thread_bytes: int = BYTES_A_CLIP
    clips: int = _CLIPS_AT_ONCE
    rows: int = ROWS_AT_ONCE
    reads: int = _READS_AT_ONCE
    in_memory: Sequence[bool] = (True,)


def plan_room(memory: int, needs: Needs) -> Room:
    """Spend what there is.

    First comes what there is no doing without; of the rest a half goes to working memory, up to what is of use; then
    splits stay in memory as long as they fit, and the others are read back a few clips at a time.

    Args:
        memory: bytes, those of the program included.
        needs: of the search.

    Raises:
        ScoreError: it is too little; says how much would do.
    """
    largest = max(split.clip_bytes for split in needs.splits)
    fixed = PROGRAM + needs.cache_rows * _CACHE_ROW + needs.tables
    fixed += sum(split.annotated for split in needs.splits) * _ANNOTATED
    reading = _reading(needs, needs.shard_rows, 1, largest)
    thread = needs.batch.thread + needs.batch.work + _HELD * largest
    least = fixed + max(reading, needs.batch.kept + thread)
    if memory < least:
        clips = sum(split.clips for split in needs.splits)
        raise ScoreError(
            f"a memory of {memory / 2**20:,.0f} MiB is too little for {needs.settings:,} settings on {clips:,} clips: "
            f"`memory='{size_text(least)}'` is the least that would do"
        )
    rest = memory - fixed - needs.batch.kept
    threads = max(1, min(needs.threads, rest // thread))
    more = (rest - threads * thread) // 2 // threads
    subsets = min(max(BYTES_A_CLIP, needs.batch.work), needs.batch.work + more)
    left = rest - threads * (needs.batch.thread + subsets)
    spare = memory - fixed - reading
    in_memory, back_at_a_time = [], _HELD * threads * largest
    for number, split in enumerate(needs.splits):
        later = sum(other.bytes for other in needs.splits[number:])
        back = (
            0 if later <= left else _HELD * threads * largest * max(1, min(32, left // (2 * _HELD * threads * largest)))
        )
        fits = split.bytes <= min(left - back, spare)
        in_memory.append(fits)
        if fits:
            left -= split.bytes
            spare -= split.bytes
    rows, reads = needs.shard_rows, 1
    for wanted, at_once in ((ROWS_AT_ONCE, _READS_AT_ONCE), (ROWS_AT_ONCE, 1), (needs.shard_rows, _READS_AT_ONCE)):
        if _reading(needs, max(wanted, rows), at_once, largest) - reading <= spare:
            rows, reads = max(wanted, rows), at_once
            break
    clips = max(1, min(_CLIPS_AT_ONCE, left // back_at_a_time))
    return Room(threads, subsets, clips, rows, reads, tuple(in_memory))


def _reading(needs: Needs, rows: int, reads: int, clip_bytes: int) -> int:
    """What it takes to make logits: embeddings that are read, shards as they are unpacked, logits of some rows."""
    made = min(rows, ROWS_AT_ONCE) * clip_bytes
    return (reads * rows + (_UNPACKED + 2 * (reads - 1)) * needs.shard_rows) * needs.row_bytes + made

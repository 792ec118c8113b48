"""What is written to an open cache, and under whose hands: rows, clips, facts, label sets (docs/design.md 3)."""

import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from feature_cache import place, text
from feature_cache.checks import check_clip_ids
from feature_cache.errors import CacheError
from feature_cache.format_2 import OldRows, OldTexts
from feature_cache.header import Header
from feature_cache.layout import OLD_VERSION
from feature_cache.readable import ReadableCache
from feature_cache.resize import adopt, change_clips, clear_rows, drop_rows
from feature_cache.root import Root, label_set_json
from feature_cache.seals import digest_of
from feature_cache.shards import Shards
from feature_cache.storage.durable import SafeStore
from feature_cache.storage.lease import Lease, Notice
from feature_cache.stored_rows import StoredRows
from feature_cache.text import TextFiles, TextSet


@dataclass(frozen=True)
class Begun:
    """A cache that is being made: its lease, and what tells it from another's beginning."""

    lease: Lease
    maker: str


class WritableCache(ReadableCache):
    """The half of :class:`feature_cache.FeatureCache` that writes."""

    def __init__(self, path: str, store: SafeStore, root: Root | Header, *, begun: Begun | None = None) -> None:
        """Wrap what is at a path; for the class methods' use. ``begun``: what is being made, and is no cache yet."""
        self.path = path
        self._store, self._root, self._begun = store, root, begun
        self._lease: Lease | None = None if begun is None else begun.lease
        self._one_at_a_time = threading.RLock()
        header = root if isinstance(root, Header) else root.header
        texts = OldTexts(store) if isinstance(root, Header) else TextFiles(store, root.label_sets, header.text_dims)
        super().__init__(self._shards_of(path, header), texts)
        if begun is not None:
            weakref.finalize(self, begun.lease.release)

    def finish(self) -> Self:
        """Declare a cache whole that was made unfinished.

        Raises:
            CacheError: another process has begun to make the same cache meanwhile.
        """
        if self._begun is not None:
            begun, root = self._begun, self._root
            assert isinstance(root, Root)
            begun.lease.check()
            place.finish(self._store, begun.maker, root)
            self._begun = self._lease = None
            begun.lease.release()
        return self

    # --- writing --------------------------------------------------------------------------------------

    @contextmanager
    def writing(
        self, what: str = "write", *, shared: bool = False, notice: Notice | None = None, read: bool = True
    ) -> Iterator[Self]:
        """Nobody else writes to the cache until the block ends; each method that writes does this by itself, too.

        Args:
            what: what is done, for others' errors.
            shared: leave room for others that do the same; each takes shards by :meth:`claim`.
            notice: called with a line where it takes a while to see whether another machine still writes.
            read: look first whether somebody has changed the cache meanwhile.

        Raises:
            LeaseError: somebody else writes to it; the message says who.

        Example::

            with FeatureCache.open("c.zarr", "r+").writing("relabel") as cache:
                cache.add_text("b", labels=labels, visual=table, overwrite=True)
        """
        if self._lease is not None:
            self._lease.check()
            yield self
            return
        if self._store.read_only:
            raise CacheError(f"{self.path} was opened to read: open it with 'r+'")
        with self._one_at_a_time, Lease.take(self._store, "part" if shared else "whole", what, notice=notice) as lease:
            self._lease = lease
            try:
                if read:
                    self._read_again()
                if lease.taken_over and not shared:
                    self.remove_leftovers()
                yield self
            finally:
                self._lease = None

    @property
    def lease(self) -> Lease | None:
        """The lease under which this cache is being written."""
        return self._lease

    def join(self, token: str) -> Self:
        """Write under the lease of the process that started this one."""
        self._lease = Lease.of_another(self._store, token)
        return self

    def claim(self, shard: int) -> Lease:
        """The lease of a shard, where several share the cache.

        Raises:
            LeaseError: another has it; the message says who.
        """
        self._check_lease()
        assert self._lease is not None
        return Lease.take(self._store, f"shard-{shard}", self._lease.what, within=self._lease)

    def remove_leftovers(self) -> None:
        """Remove what a killed writer left."""
        self._check_lease()
        self._store.remove_partial()

    def write_shard(
        self,
        shard: int,
        image: ArrayLike,
        video: ArrayLike | None,
        audio: ArrayLike | None,
        status: ArrayLike,
        reasons: Sequence[str] | None = None,
        missing: ArrayLike | None = None,
        audio_segments: ArrayLike | None = None,
        joint: ArrayLike | None = None,
    ) -> None:
        """Write all rows of one shard: the embeddings first, then the status that declares them there.

        Args:
            shard: the shard's number.
            image: (n, T, Dv) for the shard's n rows; rows that are not done are stored as zeros.
            video: (n, W, F, Dv), W windows as the cache keeps; None if it keeps none.
            audio: (n, W, Da), likewise.
            status: (n,) of PENDING, DONE, FAILED.
            reasons: n texts; a failed row needs one.
            missing: (n,) of 0, NO_PICTURE, NO_SOUND, for rows that are done; what is missing is stored as zeros,
                whatever is given. None: nothing is missing.
            audio_segments: (n, T, Da), where the cache has them.
            joint: (n, W, Dj), likewise; zeros are stored where picture or sound is missing.

        Raises:
            CacheError: shapes or arrays do not fit, a done row has values that are not finite or neither picture nor
                sound, a failed row has no reason.
        """
        tables = {"image": image, "video": video, "audio": audio, "audio_segments": audio_segments, "joint": joint}
        given = {name: values for name, values in tables.items() if values is not None}
        with self.writing():
            self.shards.write(shard, given, status, reasons, missing)

    def write_rows(
        self,
        shard: int,
        inside: Sequence[int],
        tables: Mapping[str, NDArray[Any]],
        status: ArrayLike,
        reasons: Sequence[str],
        missing: ArrayLike,
    ) -> None:
        """Write some rows of a shard; the others stay as they are, and done ones are declared so all the while.

        Args:
            shard: the shard's number.
            inside: n positions in the shard.
            tables: by array, (n, …) as :attr:`row_shapes` says.
            status: (n,) of PENDING, DONE, FAILED.
            reasons: n texts; a failed row needs one.
            missing: (n,) of 0, NO_PICTURE, NO_SOUND.

        Raises:
            CacheError: as :meth:`write_shard`.
        """
        with self.writing():
            self.shards.write_rows(shard, inside, tables, status, reasons, missing)

    def add_clips(self, clip_ids: Sequence[str]) -> None:
        """Append rows for clips that are not there yet; they are pending. A kill leaves all of them or none.

        Raises:
            CacheError: a name is there already or is none.
        """
        with self.writing() as cache:
            everyone = check_clip_ids([*cache.clip_ids, *clip_ids])
            cache._change(lambda root: _grown(cache, root, everyone))

    def drop_clips(self, clip_ids: Sequence[str]) -> None:
        """Remove the rows of some clips; rows from the end take their places. A kill leaves a cache with some of them.

        Raises:
            CacheError: a clip is not there, or none would be left.
        """
        with self.writing() as cache:
            gone = set(clip_ids)
            unknown = sorted(gone - set(cache.clip_ids))
            if unknown:
                raise CacheError(f"{cache.path}: no clip {unknown[0]!r}")
            if len(gone) == len(cache):
                raise CacheError(f"{cache.path}: every clip would be removed; delete the cache instead")
            if gone:
                cache._change(lambda root: drop_rows(cache.shards, cache._store, root, gone, cache._declare))

    def update_attributes(self, more: Mapping[str, Any]) -> None:
        """Record further facts, JSON-able; those of the same name are replaced.

        Raises:
            CacheError: one is not JSON-able, or paths are not of their form.
        """
        with self.writing() as cache:
            header = cache.header.with_attributes(more)
            if header.clips is not cache.header.clips:
                cache._change(lambda root: change_clips(cache._store, root, header, cache._declare))
            else:
                cache._change(lambda root: replace(root, header=header))

    def add_text(
        self,
        name: str,
        *,
        labels: Sequence[str],
        visual: ArrayLike,
        audio: ArrayLike | None = None,
        joint: ArrayLike | None = None,
        prompts: Mapping[str, Sequence[Any]] | None = None,
        overwrite: bool = False,
    ) -> None:
        """Add a label set; no video is needed.

        Args:
            name: letters, digits, '.', '_', '-'.
            labels: C names, no doubles.
            visual: (C, Dv) text embeddings for the visual side.
            audio: (C, Da) text embeddings for the audio side; None where one text space serves both sides,
                which is then stored once.
            joint: (C, Dj) text embeddings to compare joint embeddings with; needed where the cache has those, and
                there alone.
            prompts: the sentences embedded, by "visual", "audio" and "joint".
            overwrite: replace a set of that name.

        Raises:
            CacheError: the name, labels or shapes do not fit, or the cache holds probabilities of its own labels.
        """
        if self.kind == "probabilities":
            raise CacheError(f"{self.path} holds probabilities of its own labels: no label set can be added")
        with self.writing() as cache:
            text.check_set_name(name)
            if name in cache.text_names and not overwrite:
                raise CacheError(f"text set {name!r} is there already: choose another name or overwrite it")
            given = {"visual": visual, "audio": audio, "joint": joint}
            tables = {side: np.asarray(table) for side, table in given.items() if table is not None}
            cache.put_text(text.check_text(name, labels, tables, prompts or {}, cache.header.text_dims))

    def put_text(self, made: TextSet) -> None:
        """Write a label set that was checked, in the place of one of its name."""
        with self.writing() as cache:
            cache._change(lambda root: cache._with_text(root, made))

    def replace_root(self, root: Root) -> None:
        """Declare the cache to be as another root says, for what repairs it."""
        with self.writing(read=False) as cache:
            cache._change(lambda before: root)

    # --- what is declared -----------------------------------------------------------------------------

    def _with_text(self, root: Root, made: TextSet) -> Root:
        file = label_set_json(made.name)
        before = self._store.read(file) if made.name in root.label_sets else None
        found = root

        def declare(raw: bytes) -> None:
            nonlocal found
            if before is not None:
                self._declare(root.with_label_set(made.name, (digest_of(before), digest_of(raw))))
            found = root.with_label_set(made.name, (digest_of(raw),))

        text.write_text(self._store, made, before, declare)
        self._declare(found)
        text.remove_unused(self._store, made.name, self._store.read(file) or b"")
        return found

    def _change(self, change: Callable[[Root], Root]) -> None:
        """Another root takes this one's place; a cache that is unfinished gets it when it is whole."""
        if isinstance(self._root, Header):
            raise CacheError(
                f"{self.path} has cache format {self.header.version}, which is read and not written any more: "
                f"`upgrade({self.path!r})` makes it the present one"
            )
        root = change(self._root)
        if root is not self._root:
            self._declare(root)
        self._become(root)

    def _declare(self, root: Root) -> None:
        if self._begun is None:
            self._check_lease()
            self._store.write("zarr.json", root.to_bytes())

    def _become(self, root: Root | Header) -> None:
        self._root = root
        header = root if isinstance(root, Header) else root.header
        self.shards = self._shards_of(self.path, header)
        self._texts = (
            OldTexts(self._store)
            if isinstance(root, Header)
            else TextFiles(self._store, root.label_sets, header.text_dims)
        )

    def _read_again(self) -> None:
        """Somebody may have changed the cache before this one got its lease."""
        root = place.read_root(self.path, self._store)
        if isinstance(root, Root) and isinstance(self._root, Root) and root.columns == self._root.columns:
            root = root.with_facts(replace(root.header, clips=self._root.header.clips))  # they have been read perhaps
        self._become(root)
        if isinstance(root, Root) and root.moved and self._lease is not None and self._lease.scope == "whole":
            self._become(adopt(self.shards, root, self._declare))

    def _shards_of(self, path: str, header: Header) -> Shards:
        source = OldRows(self._store, header) if header.version == OLD_VERSION else StoredRows(self._store, header)
        return Shards(path, header, source, self._check_lease)

    def _check_lease(self) -> None:
        if self._lease is None:
            raise CacheError(f"{self.path}: nobody may write to it without its lease: `with cache.writing():`")
        self._lease.check()


def _grown(cache: WritableCache, root: Root, everyone: list[str]) -> Root:
    clear_rows(cache._store, root.header, len(everyone))
    return change_clips(cache._store, root, root.header.with_clips(everyone), cache._declare)

"""A Zarr store that names itself in errors, and whose files are on the disk when a write returns."""

import asyncio
import errno
import stat
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from zarr.abc.store import ByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import LocalStore, WrapperStore

from feature_cache.errors import CacheError
from feature_cache.storage.atomic import write_durably

_NOT_THERE = (FileNotFoundError, IsADirectoryError, NotADirectoryError)
_SPACE = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "your quota of the disk is used up",
    errno.EFBIG: "a file would exceed the largest size allowed here",
}


_CREDENTIALS_FROM = ("169.254.169.254", "metadata.google.internal")
"""Where clouds' own machines are asked for credentials if none are given."""


class StoreError(CacheError):
    """A store cannot be read or written just now: the disk is full, the network or the server is gone."""


class SafeStore(WrapperStore[Store]):
    """Another store, whose errors become :class:`StoreError`.

    A file of a folder is written whole or not at all: it gets its name once its bytes are on the disk, and
    the call returns once the name is there, too. Object stores do the like by themselves.
    """

    def __init__(self, store: Store, name: str) -> None:
        """Wrap a store; ``name`` is what people call it."""
        super().__init__(store)
        self.name = name

    def _with_store(self, store: Store) -> "SafeStore":
        return SafeStore(store, self.name)

    @contextmanager
    def _named(self, what: str) -> Iterator[None]:
        try:
            yield
        except (CacheError, TypeError):
            raise
        except Exception as error:  # stores raise what they like
            raise StoreError(f"{self.name}: cannot be {what}: {_reason(error)}") from error

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        """A key's value; None where there is none."""
        with self._named("read"), suppress(*_NOT_THERE):
            if isinstance(self._store, LocalStore) and not _is_plain(self._store.root / key):
                raise OSError(f"{key} is neither a file nor a folder: remove it")  # a device, a pipe
            return await self._store.get(key, prototype, byte_range)
        return None

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """Parts of values."""
        with self._named("read"):
            return await self._store.get_partial_values(prototype, key_ranges)

    async def _get_many(
        self, requests: Iterable[tuple[str, BufferPrototype, ByteRequest | None]]
    ) -> AsyncGenerator[tuple[str, Buffer | None], None]:
        for request in requests:
            yield request[0], await self.get(*request)

    async def exists(self, key: str) -> bool:
        """Whether a key has a value."""
        with self._named("read"):
            return await self._store.exists(key)

    async def set(self, key: str, value: Buffer) -> None:
        """Write a value, durably."""
        with self._named("written"):
            if isinstance(self._store, LocalStore):
                if self._store.read_only:
                    raise ValueError("the store was opened to read")
                self._check_inside(key)
                await asyncio.to_thread(write_durably, self._store.root / key, value.to_bytes())
            else:
                await self._store.set(key, value)

    async def _set_many(self, values: Iterable[tuple[str, Buffer]]) -> None:
        for key, value in values:
            await self.set(key, value)

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        """Write a value unless there is one."""
        if isinstance(self._store, LocalStore):
            if not await self.exists(key):
                await self.set(key, value)
            return
        with self._named("written"):
            await self._store.set_if_not_exists(key, value)

    async def delete(self, key: str) -> None:
        """Remove a value, if there is one."""
        with self._named("written"), suppress(*_NOT_THERE):
            self._check_inside(key)
            await self._store.delete(key)

    async def delete_dir(self, prefix: str) -> None:
        """Remove every value under a prefix."""
        with self._named("written"), suppress(*_NOT_THERE):
            self._check_inside(prefix)
            await self._store.delete_dir(prefix)

    def _check_inside(self, key: str) -> None:
        """Nothing is written or removed where a link in a stranger's cache leads."""
        if not isinstance(self._store, LocalStore):
            return
        root = self._store.root.resolve()
        if not (self._store.root / key).parent.resolve().is_relative_to(root):
            raise OSError(f"{key} lies elsewhere, where a link leads: put the folder itself there")

    async def list(self) -> AsyncIterator[str]:
        """Every key."""
        with self._named("listed"):
            async for key in self._store.list():
                yield key

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Every key under a prefix."""
        with self._named("listed"):
            async for key in self._store.list_prefix(prefix):
                yield key

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Names directly under a prefix."""
        with self._named("listed"), suppress(*_NOT_THERE):
            async for key in self._store.list_dir(prefix):
                yield key


def _is_plain(path: Path) -> bool:
    """Whether a file, a folder or nothing is at a path."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return True  # what reads it will say so
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno in _SPACE:
        return f"{_SPACE[error.errno]} ({error.strerror}); make room, and the same command goes on from here"
    text = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    line = " ".join(text.splitlines()[0].split())
    if any(address in line for address in _CREDENTIALS_FROM):
        return f"no credentials are set, as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for s3:// ({line[:150]})"
    return line if len(line) <= 300 else line[:297] + "..."

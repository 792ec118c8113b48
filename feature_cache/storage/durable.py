"""A Zarr store that names itself in errors, and whose files are on the disk when a write returns."""

import asyncio
import errno
import stat
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from zarr.abc.store import ByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype, default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import LocalStore, ObjectStore, WrapperStore

from feature_cache.errors import CacheError
from feature_cache.storage.atomic import PARTIAL, create_file, replace_file, write_durably

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

    # --- without waiting for an event loop: values are whole files, read and written by one call ----------

    def read(self, key: str) -> bytes | None:
        """A key's value; None where there is none."""
        if not isinstance(self._store, LocalStore):
            found = sync(self.get(key, default_buffer_prototype()))
            return None if found is None else found.to_bytes()
        with self._named("read"), suppress(*_NOT_THERE):
            path = self._store.root / key
            if not _is_plain(path):
                raise OSError(f"{key} is neither a file nor a folder: remove it")  # a device, a pipe
            return path.read_bytes()
        return None

    def has(self, key: str) -> bool:
        """Whether a key has a value."""
        if not isinstance(self._store, LocalStore):
            return sync(self.exists(key))
        with self._named("read"):
            return (self._store.root / key).is_file()

    def write(self, key: str, value: bytes) -> None:
        """Write a value, durably."""
        if not isinstance(self._store, LocalStore):
            sync(self.set(key, default_buffer_prototype().buffer.from_bytes(value)))
            return
        with self._named("written"):
            self._put_local(key, value)

    def put(self, key: str, value: bytes) -> None:
        """Replace a value; it is whole at any time, but not on the disk at once."""
        if not isinstance(self._store, LocalStore):
            self.write(key, value)
            return
        with self._named("written"):
            self._check_inside(key)
            replace_file(self._store.root / key, value)

    def create(self, key: str, value: bytes) -> bool:
        """Write a value unless there is one; False if there is. Of several that try, one alone gets True."""
        with self._named("written"):
            if isinstance(self._store, LocalStore):
                if self._store.read_only:
                    raise ValueError("the store was opened to read")
                self._check_inside(key)
                return create_file(self._store.root / key, value)
            if isinstance(self._store, ObjectStore):
                return _create_object(self._store, key, value)
            if sync(self._store.exists(key)):
                return False
            sync(self._store.set_if_not_exists(key, default_buffer_prototype().buffer.from_bytes(value)))
        return self.read(key) == value

    def discard(self, key: str) -> None:
        """Remove a value, if there is one."""
        if not isinstance(self._store, LocalStore):
            sync(self.delete(key))
            return
        with self._named("written"), suppress(*_NOT_THERE):
            self._check_inside(key)
            (self._store.root / key).unlink()

    def remove(self, name: str) -> None:
        """Remove a file, or a folder with all that is in it."""
        if not isinstance(self._store, LocalStore):
            sync(self.delete_dir(name))
        sync(self.delete(name))

    def remove_partial(self) -> None:
        """Remove what killed writers left, wherever it lies."""

        async def collect() -> list[str]:
            return [key async for key in self.list()]

        for key in sync(collect()):
            if key.endswith(PARTIAL):
                self.remove(key)

    def discard_folder(self, name: str) -> None:
        """Remove a folder if it is empty; other stores than folders have none."""
        if isinstance(self._store, LocalStore):
            with suppress(OSError):
                (self._store.root / name).rmdir()

    def names(self, prefix: str) -> list[str]:
        """Names of files and folders directly under a prefix, sorted, whatever they are."""
        if isinstance(self._store, LocalStore):
            with self._named("listed"), suppress(*_NOT_THERE):
                return sorted(file.name for file in (self._store.root / prefix).iterdir())
            return []

        async def collect() -> list[str]:
            return [name async for name in self.list_dir(prefix)]

        return sorted(name for name in {name.strip("/") for name in sync(collect())} if name)

    # --- as Zarr asks ----------------------------------------------------------------------------------------

    async def exists(self, key: str) -> bool:
        """Whether a key has a value."""
        with self._named("read"):
            return await self._store.exists(key)

    async def set(self, key: str, value: Buffer) -> None:
        """Write a value, durably."""
        with self._named("written"):
            if isinstance(self._store, LocalStore):
                await asyncio.to_thread(self._put_local, key, value.to_bytes())
            else:
                await self._store.set(key, value)

    def _put_local(self, key: str, value: bytes) -> None:
        assert isinstance(self._store, LocalStore)
        if self._store.read_only:
            raise ValueError("the store was opened to read")
        self._check_inside(key)
        write_durably(self._store.root / key, value)

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


def _create_object(store: "ObjectStore[Any]", key: str, value: bytes) -> bool:
    from obstore.exceptions import AlreadyExistsError

    try:
        store.store.put(key, value, mode="create")
    except AlreadyExistsError:
        return False
    return True


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

"""Paths and URLs to Zarr stores: folders, object stores through obstore, anything else through fsspec."""

import os
from importlib.util import find_spec
from os import PathLike
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from zarr.abc.store import Store
from zarr.storage import FsspecStore, LocalStore, MemoryStore, ObjectStore

from feature_cache.errors import CacheError
from feature_cache.storage.durable import SafeStore

_OBJECT_STORES = {"abfs", "abfss", "adl", "az", "azure", "gs", "s3", "s3a"}
_PATIENCE_SECONDS = 60
"""How long a server that does not answer is asked again."""

_memory: dict[str, dict[str, Any]] = {}


def shown(path: str | PathLike[str]) -> str:
    """The path as people gave it."""
    return os.fspath(path)


def local_folder(path: str | PathLike[str]) -> Path | None:
    """The folder of a path or a file:// URL; None for another URL."""
    text = os.fspath(path)
    if "://" not in text:
        return Path(text)
    if text.startswith("file://"):
        from urllib.request import url2pathname  # brings a web client along, so only where needed

        return Path(url2pathname(urlsplit(text).path))
    return None


def store_at(path: str | PathLike[str], *, read_only: bool) -> SafeStore:
    """The store at a path or URL; nothing is made yet.

    memory:// lasts as long as the process. s3://, gs:// and az:// need obstore (or fsspec and its part for
    them) and take credentials, region and endpoint from the environment (AWS_ACCESS_KEY_ID,
    AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL, …).

    Raises:
        CacheError: a URL that nothing installed knows.
    """
    folder = local_folder(path)
    text = os.fspath(path)
    if folder is not None:
        return SafeStore(LocalStore(folder, read_only=read_only), text)
    scheme = text.split("://", 1)[0].lower()
    if scheme == "memory":
        return SafeStore(MemoryStore(_memory.setdefault(text.rstrip("/"), {}), read_only=read_only), text)
    if scheme in _OBJECT_STORES and find_spec("obstore") is not None:
        return SafeStore(ObjectStore(_object_store(text, scheme), read_only=read_only), text)
    return SafeStore(_fsspec_store(text, scheme, read_only), text)


def _object_store(url: str, scheme: str) -> Any:
    from obstore.store import from_url

    plain = scheme.startswith("s3") and os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://")
    options: dict[str, Any] = {"client_options": {"allow_http": True}} if plain else {}
    try:
        return from_url(
            url,
            retry_config={"max_retries": 6, "retry_timeout": _seconds(_PATIENCE_SECONDS)},
            **options,
        )
    except Exception as error:  # obstore's own classes
        raise CacheError(f"{url}: no usable URL of an object store ({str(error).splitlines()[0]})") from error


def _seconds(count: int) -> Any:
    from datetime import timedelta

    return timedelta(seconds=count)


def _fsspec_store(url: str, scheme: str, read_only: bool) -> Store:
    extra = "install it with pip install 'av2a[cloud]'"
    if find_spec("fsspec") is None:
        raise CacheError(f"{url}: URLs need obstore (s3, gs, az) or fsspec (others): {extra}")
    from fsspec.registry import known_implementations

    if scheme not in known_implementations:
        raise CacheError(f"{url}: no kind of store is called {scheme}://; use a folder, s3://, gs://, az:// …")
    try:
        return FsspecStore.from_url(url, read_only=read_only)
    except ImportError as error:
        wanted = f"obstore: {extra}" if scheme in _OBJECT_STORES else str(error).splitlines()[0]
        raise CacheError(f"{url}: {scheme}:// needs {wanted}") from error
    except Exception as error:  # each file system its own classes
        raise CacheError(f"{url}: cannot be reached ({(str(error).splitlines() or [''])[0]})") from error

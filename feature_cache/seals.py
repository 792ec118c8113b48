"""Seals: what metadata must be, to the byte (docs/design.md 3).

A group's zarr.json is written in one form and holds a digest of itself; other files are named there with theirs.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from feature_cache.errors import CacheError
from feature_cache.layout import ATTRIBUTE_DIGEST

Sealed = Mapping[str, Iterable[str]]
"""By file, the digests that it may have: two of them while it is being replaced."""

_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,80}(/[A-Za-z0-9][A-Za-z0-9_.-]{0,80}){0,5}")
"""Files that a header may name: inside the cache, and nowhere else."""


class SealError(CacheError):
    """Something is not as it was written."""


def digest_of(raw: bytes) -> str:
    """32 hex digits of bytes."""
    return hashlib.blake2b(raw, digest_size=16).hexdigest()


def attribute_digest(attributes: Mapping[str, Any]) -> str:
    """32 hex digits over a group's attributes, their own digest aside."""
    facts = {name: value for name, value in attributes.items() if name != ATTRIBUTE_DIGEST}
    return digest_of(json.dumps(facts, sort_keys=True).encode())


def group_json(attributes: Mapping[str, Any]) -> bytes:
    """The zarr.json of a group with these attributes, in the one form, with their digest among them."""
    sealed = {**attributes, ATTRIBUTE_DIGEST: attribute_digest(attributes)}
    return _one_form({"zarr_format": 3, "node_type": "group", "attributes": sealed})


def parse_group(raw: bytes) -> dict[str, Any]:
    """Attributes from a group's zarr.json, whoever wrote it.

    Raises:
        SealError: it is no zarr.json of a group.
    """
    try:
        found = json.loads(raw)
    except RecursionError as error:
        raise SealError("zarr.json is nested too deep") from error
    except ValueError as error:
        raise SealError(f"zarr.json is no JSON ({str(error)[:80]})") from error
    attributes = found.get("attributes", {}) if isinstance(found, dict) else None
    if not isinstance(attributes, dict) or (found.get("node_type"), found.get("zarr_format")) != ("group", 3):
        raise SealError("zarr.json is none of a group")
    return attributes


def check_group(raw: bytes) -> dict[str, Any]:
    """Attributes from a group's zarr.json, without their digest.

    Raises:
        SealError: it is not, to the byte, what :func:`group_json` made.
    """
    attributes = parse_group(raw)
    facts = {name: value for name, value in attributes.items() if name != ATTRIBUTE_DIGEST}
    try:
        same = attributes.get(ATTRIBUTE_DIGEST) == attribute_digest(facts) and group_json(facts) == raw
    except RecursionError as error:
        raise SealError("zarr.json is nested too deep") from error
    if not same:
        raise SealError("it is not as it was written")
    return facts


def check_sealed(raw: bytes | None, allowed: Iterable[str]) -> bytes:
    """A file's bytes.

    Args:
        raw: what is there; None: nothing.
        allowed: the digests that it may have.

    Raises:
        SealError: it is missing, or not as it was written.
    """
    if raw is None:
        raise SealError("it is missing")
    if digest_of(raw) not in allowed:
        raise SealError("it is not as it was written")
    return raw


def check_digests(stated: Any, what: str) -> dict[str, tuple[str, ...]]:
    """By file, the digests that it may have, as a header states them.

    Raises:
        CacheError: it is something else.
    """
    good = isinstance(stated, dict) and all(
        _FILE.fullmatch(file)
        and isinstance(each, list)
        and 0 < len(each) <= 2
        and all(isinstance(digest, str) for digest in each)
        for file, each in stated.items()
    )
    if not good:
        raise CacheError(f"{what} must give digests by file")
    return {name: tuple(each) for name, each in stated.items()}


def _one_form(document: Any) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()

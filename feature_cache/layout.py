"""Names, versions and encodings of what a cache holds on disk (docs/design.md 3)."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec, ZstdCodec
from zarr.core.metadata import ArrayV3Metadata

from feature_cache.names import escaped

FORMAT = "av2a-features"
FORMAT_VERSION = 2

PENDING, DONE, FAILED = 0, 1, 2
STATUS_NAMES = ("pending", "done", "failed")

NO_PICTURE, NO_SOUND = 1, 2
"""Bits of ``missing``: what a clip that is done does not have."""
MISSING_NAMES = {NO_PICTURE: "picture", NO_SOUND: "sound"}

REASON_BYTES = 512
"""Room for a failed row's reason, UTF-8, zero padded."""

DIGEST_BYTES = 16

FEATURE_ARRAYS = ("image", "video", "audio", "audio_segments", "visual_probability", "audio_probability")
"""Arrays that a cache may have, in the order in which they are written; ``FeatureCache.arrays`` names those it has."""
MISSING_BIT = {
    "image": NO_PICTURE,
    "video": NO_PICTURE,
    "visual_probability": NO_PICTURE,
    "audio": NO_SOUND,
    "audio_segments": NO_SOUND,
    "audio_probability": NO_SOUND,
}
"""The bit of ``missing`` under which an array's row is zeros."""
TEXT_GROUP = "text"
UNFINISHED = "unfinished"
"""Attribute of a group that is being made."""
SEAL = "seal"
"""Attribute with a digest of all the others."""
DTYPES = ("float16", "float32")


def add_array(
    group: zarr.Group,
    name: str,
    *,
    shape: tuple[int, ...],
    dtype: str,
    rows: int,
    dimensions: tuple[str, ...],
) -> None:
    """Create an array cut along its first axis into chunks of ``rows`` rows, each one file.

    zstd makes frames that several windows share cheap; the crc32c around it covers every stored byte.
    Chunks of zeros are written too, so that a missing file is always a loss.
    """
    group.create_array(
        name,
        shape=shape,
        dtype=dtype,
        chunks=(rows, *shape[1:]),
        compressors=[ZstdCodec(level=1), Crc32cCodec()],
        fill_value=0,
        dimension_names=dimensions,
        config={"write_empty_chunks": True},
    )


def seal(attributes: Mapping[str, Any]) -> str:
    """32 hex digits over attributes, their own digest aside."""
    facts = {name: value for name, value in attributes.items() if name != SEAL}
    return hashlib.blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=16).hexdigest()


def array(group: zarr.Group, name: str) -> zarr.Array[Any]:
    """The array of that name; KeyError where there is none."""
    found = group[name]
    if not isinstance(found, zarr.Array) or not isinstance(found.metadata, ArrayV3Metadata):
        raise KeyError(name)
    # as Array.with_config, which zarr 3.1.5 does not have: newer ones need numpy 2, and laion_clap an older one
    return zarr.Array(zarr.AsyncArray(found.metadata, found.store_path, {"write_empty_chunks": True}))


def read_rows(group: zarr.Group, name: str, rows: slice = slice(None)) -> NDArray[Any]:
    """Rows of an array as NumPy."""
    return np.asarray(array(group, name)[rows])


def encode_reason(reason: str) -> NDArray[np.uint8]:
    """One line of UTF-8 in a fixed number of bytes, cut at a whole character."""
    raw = escaped(" ".join(reason.split())).encode()[:REASON_BYTES]
    raw = raw.decode(errors="ignore").encode()
    return np.frombuffer(raw.ljust(REASON_BYTES, b"\0"), dtype=np.uint8)


def decode_reason(raw: NDArray[np.uint8]) -> str:
    """The inverse of :func:`encode_reason`; whoever wrote it, it can be shown."""
    return escaped(raw.tobytes().rstrip(b"\0").decode(errors="replace"))

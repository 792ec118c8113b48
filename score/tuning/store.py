"""A search on disk: settings and figures as they are found, so that an interrupted search goes on.

A Zarr v3 group with one chunk a batch. ``done`` says which batches are whole; it is written last.
"""

import os
import shutil
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec, ZstdCodec
from zarr.errors import GroupNotFoundError

from score.config import FUSIONS, METHODS
from score.errors import ScoreError
from score.tuning.space import NUMBERS, PARAMETERS

FORMAT = "av2a-search"
VERSION = 1


class SearchStore:
    """Batches of a search in a folder."""

    def __init__(self, path: str | PathLike[str], identity: dict[str, Any], *, overwrite: bool = False) -> None:
        """Open the folder of the same search, or make it.

        Args:
            path: the folder.
            identity: what makes a search this one and no other, JSON-able.
            overwrite: replace a search that is there, whatever it is.

        Raises:
            ScoreError: something else is there.
        """
        self.path = Path(path)
        found = _attributes(self.path)
        if found is None and self.path.exists() and (self.path.is_file() or any(self.path.iterdir())):
            raise ScoreError(f"{self.path} is there and holds no search: choose another output")
        if found is not None and found.get("format") != FORMAT:
            raise ScoreError(f"{self.path} is a Zarr store, but holds no search: choose another output")
        if found is not None and overwrite:
            shutil.rmtree(self.path)
            found = None
        if found is not None:
            different = [key for key in identity if found.get("identity", {}).get(key) != identity[key]]
            if different or found.get("version") != VERSION:
                raise ScoreError(
                    f"{self.path} holds another search (its {', '.join(different) or 'version'} differs): choose "
                    "another output, or --overwrite"
                )
            self._group = zarr.open_group(self.path, mode="r+")
            return
        try:
            self._group = zarr.open_group(self.path, mode="w", zarr_format=3)
        except OSError as error:
            raise ScoreError(f"{self.path}: cannot be made ({error.strerror or error})") from error
        self._group.attrs.update({"format": FORMAT, "version": VERSION, "identity": identity})

    def read(self, batch: int, settings: NDArray[Any]) -> NDArray[np.float64] | None:
        """Figures of a batch that is whole, (S, figures); None if it is not there.

        Raises:
            ScoreError: the batch is damaged, or holds other settings.
        """
        name = f"batch{batch:06d}"
        entry = self._group.get(name)
        if not isinstance(entry, zarr.Group) or not entry.attrs.get("done"):
            return None
        try:
            if not np.array_equal(_encode(settings), np.asarray(entry["settings"])):
                raise ScoreError(f"{self.path}: {name} holds other settings: --overwrite")
            return np.asarray(entry["metrics"])
        except (ValueError, KeyError, RuntimeError) as error:
            raise ScoreError(f"{self.path}: {name} is damaged ({str(error).splitlines()[0]}): --overwrite") from error

    def write(self, batch: int, settings: NDArray[Any], metrics: NDArray[np.float64], names: tuple[str, ...]) -> None:
        """Keep a batch; what declares it whole comes last."""
        entry = self._group.create_group(f"batch{batch:06d}", overwrite=True)
        for name, values in (("settings", _encode(settings)), ("metrics", metrics)):
            entry.create_array(name, data=values, chunks=values.shape, compressors=[ZstdCodec(level=1), Crc32cCodec()])
        entry.attrs.update({"parameters": [*NUMBERS, "method", "fusion"], "metrics": list(names), "done": True})


def _encode(settings: NDArray[Any]) -> NDArray[np.float64]:
    """Settings as float64 (S, 7), methods and fusions by number."""
    columns = [settings[name] for name in NUMBERS]
    for name, known in (("method", METHODS), ("fusion", FUSIONS)):
        codes = np.zeros(len(settings))
        for code, value in enumerate(known):
            codes[settings[name] == value] = code
        columns.append(codes)
    return np.column_stack(columns)


def decode_settings(table: NDArray[np.float64]) -> NDArray[Any]:
    """Structured settings from a stored table; the inverse of what is written."""
    found = np.zeros(len(table), dtype=PARAMETERS)
    for column, name in enumerate(NUMBERS):
        found[name] = table[:, column]
    for column, (name, known) in enumerate((("method", METHODS), ("fusion", FUSIONS)), start=len(NUMBERS)):
        found[name] = np.array(known)[table[:, column].astype(int)]
    return found


def _attributes(path: Path) -> dict[str, Any] | None:
    try:
        return dict(zarr.open_group(os.fspath(path), mode="r", zarr_format=3).attrs)
    except (GroupNotFoundError, FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise ScoreError(f"{path} is damaged: choose another output, or delete it") from error

"""Finding, loading and identifying weights, for all backbones. Nothing here or below unpickles code."""

import hashlib
import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from extract.errors import ExtractError

_ANSWER_SECONDS = 10.0


def no_weights(names: Sequence[str], layout: str) -> ExtractError:
    """To be raised where published weights are neither here nor to be had.

    Args:
        names: whose.
        layout: how they are to be placed in a folder.
    """
    whose = " and ".join(names) if len(names) < 3 else f"{names[0]} and others"  # errors are cut to a line
    return ExtractError(
        f"no weights of {whose} here, nor a model hub: place them as {layout}, then give "
        "`checkpoint='DIR'` (docs/backbones.md); `backbone='tiny'` needs none, but knows clips of `make_demo(...)` only"
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Keep third-party loaders from talking: no warnings, log lines or progress bars, no log handler left."""
    from transformers.utils import logging as transformers_logging

    root = logging.getLogger()
    handlers, disabled = list(root.handlers), root.manager.disable
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
        root.handlers[:] = handlers
        if bars:
            transformers_logging.enable_progress_bar()


def sha256(path: Path) -> str:
    """Hash of a file, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def first_there(folder: Path, names: Sequence[str]) -> Path | None:
    """The first of the named files that the folder holds."""
    return next((folder / name for name in names if (folder / name).is_file()), None)


def from_hub(
    repository: str, weights: Sequence[str], others: Sequence[str] = (), also: Sequence[str] = ()
) -> Path | None:
    """A folder with a hub repository's files: from the local hub cache, else downloaded.

    Args:
        repository: "owner/name".
        weights: names of weight files; the first that exists is taken.
        others: names of files needed beside them.
        also: names of files that are fetched where there are such.

    Returns:
        The folder; None if the files are not cached and the hub gives none (no network, for one).
    """
    from huggingface_hub import HfApi, snapshot_download

    for local in (True, False):
        if not local:
            try:  # downloading waits without end for a hub that takes the call and says nothing
                HfApi().repo_info(repository, timeout=_ANSWER_SECONDS)
            except Exception:  # whatever the hub's HTTP library raises, which changes with the version
                return None
        for name in weights:
            try:
                folder = Path(
                    snapshot_download(
                        repository,
                        allow_patterns=[name, *others, *also],
                        local_files_only=local,
                        etag_timeout=5,
                    )
                )
            except Exception:  # not cached, no such repository, the network gone
                break
            if all((folder / file).is_file() for file in (name, *others)):
                return folder
    return None


def load_state(path: Path) -> dict[str, Tensor]:
    """Tensors of a .pt file: a TorchScript archive (as OpenAI's are) or a state dict, without unpickling code.

    Raises:
        ExtractError: neither, or the file is damaged.
    """
    with quiet():
        try:
            try:
                loaded: Any = torch.jit.load(path, map_location="cpu").state_dict()  # type: ignore[no-untyped-call]
            except RuntimeError:
                loaded = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises what it likes on damaged files
            raise ExtractError(f"{path}: no weights can be read from it ({first_line(error)})") from error
    if not isinstance(loaded, dict):
        raise ExtractError(f"{path}: holds no state dict")
    return cast("dict[str, Tensor]", dict(loaded.get("state_dict", loaded)))


def why_not_loaded(error: BaseException) -> str:
    """What an error of loading weights into a model says, in one line; names tensors where they do not fit."""
    text = str(error)
    if isinstance(error, KeyError):
        return tensor_faults(missing=[str(error.args[0])])
    if "Error(s) in loading state_dict" not in text:
        return first_line(error)
    found = {
        what: re.findall(r'"([^"]+)"', line)
        for line in text.splitlines()
        for what in ("Missing", "Unexpected")
        if line.lstrip().startswith(f"{what} key(s)")
    }
    shapes = re.findall(r"size mismatch for ([^\s:]+):", text)
    return tensor_faults(found.get("Missing", ()), found.get("Unexpected", ()), shapes)


def tensor_faults(missing: Sequence[str] = (), unknown: Sequence[str] = (), shapes: Sequence[str] = ()) -> str:
    """How a file's tensors differ from a model's, the first few by name.

    Example:
        >>> tensor_faults(["a", "b"], shapes=["c"])
        '2 tensors are missing (a, b); 1 tensors are of another shape (c)'
    """
    lists = ((missing, "are missing"), (unknown, "are unknown"), (shapes, "are of another shape"))
    return "; ".join(
        f"{len(names)} tensors {fault} ({', '.join(names[:2])}{', …' if len(names) > 2 else ''})"
        for names, fault in lists
        if names
    )


def first_line(error: BaseException) -> str:
    """What an error says, in one line of at most 200 characters."""
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:200]

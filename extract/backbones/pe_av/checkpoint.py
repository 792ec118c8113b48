"""PE-AV's weights, from a folder or the hub, strictly."""

import io
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from extract.backbones.pe_av.config import CONFIG_FILE, VIDEO_FILE, Pictures, model_config
from extract.backbones.weights import first_line, from_hub, no_weights, quiet
from extract.errors import ExtractError

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
TOKENIZER = ("tokenizer.json", "tokenizer_config.json")

_TRANSFORMERS = 5
_TWINS = (
    ("audio_model.text_model.", "text_model."),
    ("video_model.text_model.", "text_model."),
    ("audio_video_encoder.embedder.audio_encoder.", "audio_model.audio_encoder."),
    ("audio_video_encoder.embedder.video_encoder.", "video_model.video_encoder."),
)
"""Parts of the model that are one and the same, by the beginning of their tensors' names."""


@dataclass(frozen=True)
class Checkpoint:
    """A PE-AV model as it lies in a folder.

    Attributes:
        model: PeAudioVideoModel, in float32 on the CPU.
        tokenizer: of its sentences.
        pictures: how they are prepared.
        files: of weights.
    """

    model: Any
    tokenizer: Any
    pictures: Pictures
    files: tuple[Path, ...]

    @classmethod
    def from_folder(cls, folder: Path) -> "Checkpoint":
        """Read what ``save_pretrained`` of model, tokenizer and processor wrote, or the hub holds.

        Raises:
            ExtractError: a file is missing or damaged, a tensor is unknown, missing or of another shape.
        """
        missing = [name for name in TOKENIZER if not (folder / name).is_file()]
        files = weight_files(folder)
        with _silent():
            config = model_config(folder)
            if missing:
                raise ExtractError(f"no {missing[0]} in {folder}: put all files of the model's hub page there")
            model = _model(config, files)
            try:
                from transformers import AutoTokenizer

                tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            except Exception as error:  # whatever tokenizers make of damaged files
                raise ExtractError(
                    f"{folder / TOKENIZER[0]}: cannot be used ({first_line(error)}); get it again"
                ) from error
        return cls(model, tokenizer, Pictures.of(folder), files)


def check_packages() -> None:
    """Refuse to go on without what the model is made of.

    Raises:
        ExtractError: timm is missing, or transformers are too old.
    """
    if find_spec("timm") is None:
        raise ExtractError("pe_av needs timm, which has its encoder of pictures: pip install timm")
    found = version("transformers")
    if int(found.partition(".")[0]) < _TRANSFORMERS:
        raise ExtractError(
            f"pe_av needs transformers {_TRANSFORMERS}.0 or later, here is {found}: pip install -U transformers"
        )


def folder_of(repository: str) -> Path:
    """Where the files of a model of the hub are, or have been put.

    Raises:
        ExtractError: they are not here, and not to be had.
    """
    others = (CONFIG_FILE, VIDEO_FILE, *TOKENIZER)
    folder = from_hub(repository, (WEIGHTS,), others)
    if folder is None and (indexed := from_hub(repository, (INDEX,), others)) is not None:
        first, *rest = (path.name for path in _in_index(indexed))
        folder = from_hub(repository, (first,), (*others, INDEX, *rest))
    if folder is None:
        raise no_weights((repository,), "all files of its hub page in one folder")
    return folder


def weight_files(folder: Path) -> tuple[Path, ...]:
    """The files of weights in a folder: one, or those that an index names.

    Raises:
        ExtractError: there are none.
    """
    if (folder / WEIGHTS).is_file():
        return (folder / WEIGHTS,)
    if (folder / INDEX).is_file():
        return _in_index(folder)
    raise ExtractError(f"no {WEIGHTS} in {folder}: put all files of a PE-AV model's hub page there")


def twin(name: str) -> str:
    """The name under which a tensor stands that the model has several times."""
    return next((first + name.removeprefix(again) for again, first in _TWINS if name.startswith(again)), name)


def expected_shapes(config: Any) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all tensors of the model, those that it has several times under each name."""
    from transformers import PeAudioVideoModel

    with torch.device("meta"):
        model = PeAudioVideoModel(config)
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def _in_index(folder: Path) -> tuple[Path, ...]:
    path = folder / INDEX
    try:
        names = sorted(set(json.loads(path.read_text("utf-8"))["weight_map"].values()))
        files = tuple(folder / Path(name).name for name in names)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ExtractError(f"{path}: names no files of weights ({first_line(error)}); get it again") from error
    if not files:
        raise ExtractError(f"{path}: names no files of weights; get it again")
    return files


def _model(config: Any, files: tuple[Path, ...]) -> Any:
    from transformers import PeAudioVideoModel

    try:
        expected = expected_shapes(config)
    except Exception as error:  # sizes that do not go together
        raise ExtractError(
            f"{files[0].parent / CONFIG_FILE}: no model of it ({first_line(error)}); get it again"
        ) from error
    state = _read(files)
    by_name = {twin(name): tensor for name, tensor in state.items()}
    del state
    _check(files[0], {name: tuple(tensor.shape) for name, tensor in by_name.items()}, expected)
    by_name = {name: tensor.float() for name, tensor in by_name.items()}  # once for all names of a tensor
    try:
        model, loading = PeAudioVideoModel.from_pretrained(
            None,
            config=config,
            state_dict={name: by_name[twin(name)] for name in expected},
            dtype=torch.float32,
            attn_implementation="sdpa",
            output_loading_info=True,
        )
    except Exception as error:  # transformers raises what it likes
        raise ExtractError(f"{files[0]}: cannot be loaded as PE-AV ({first_line(error)})") from error
    lost = [name for names in loading.values() for name in names]
    if lost:
        raise ExtractError(f"{files[0]}: {len(lost)} tensors could not be loaded ({lost[0]}); get it again")
    return model.eval().requires_grad_(False)


def _read(files: Iterable[Path]) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    state: dict[str, Tensor] = {}
    for path in files:
        try:
            state |= load_file(path)
        except Exception as error:  # its own kind of error, or the system's
            raise ExtractError(f"{path}: no weights can be read from it ({first_line(error)}); get it again") from error
    return state


def _check(path: Path, there: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse unknown, missing and misshapen tensors."""
    whose = f"{CONFIG_FILE} and weights must be of one PE-AV model"
    wanted = {twin(name): shape for name, shape in expected.items()}
    unknown = [name for name in there if name not in wanted]
    missing = [name for name in wanted if name not in there]
    for names, what in ((missing, "lacks tensor"), (unknown, "holds an unknown tensor")):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise ExtractError(f"{path}: {what} {_shown(names[0])}{more}; {whose}")
    for name, shape in there.items():
        if shape != wanted[name]:
            raise ExtractError(
                f"{path}: tensor {_shown(name)} is {shape}, but by {CONFIG_FILE} it is {wanted[name]}; {whose}"
            )


def _shown(name: str) -> str:
    return name if len(name) <= 80 else f"{name[:50]}…{name[-29:]}"


@contextmanager
def _silent() -> Iterator[None]:
    """As ``quiet``; and what transformers prints of its own docstrings is not shown."""
    with quiet(), redirect_stdout(io.StringIO()):
        yield

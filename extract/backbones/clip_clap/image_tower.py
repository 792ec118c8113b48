"""Any image model of open_clip: frames and sentences to unit vectors, prepared as its own configuration says."""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from extract.backbones.clip_clap.fitting import Fitting
from extract.backbones.clip_clap.image_source import ImageSource
from extract.backbones.pixels import normalise
from extract.backbones.weights import first_line, load_state, quiet, sha256, tensor_faults, why_not_loaded
from extract.device import arithmetic
from extract.errors import ExtractError

_NOT_WEIGHTS = ("input_resolution", "context_length", "vocab_size")  # in OpenAI's archives


class ImageTower:
    """An open_clip model with its tokenizer and what it wants done to pictures."""

    unit = True

    def __init__(
        self, source: ImageSource, model: Any, tokenizer: Any, fitting: Fitting, device: torch.device, precision: str
    ) -> None:
        """Take over a loaded model; for :func:`load_image_tower`'s use."""
        self.source = source
        self.fitting = fitting
        self._model = model.eval().requires_grad_(False).to(device)
        self._tokenizer = tokenizer
        self._device, self._precision = device, precision
        self.dim = int(self.encode_text(["a"]).shape[1])

    def prepare_frames(self, frames: Tensor) -> Tensor:
        """uint8 (n, 3, H, W) to uint8 (n, 3, height, width)."""
        return self.fitting(frames)

    def encode_frames(self, frames: Tensor) -> Tensor:
        """uint8 (n, 3, height, width) to float32 (n, Dv), unit length."""
        with arithmetic(self._device, self._precision):
            pixels = normalise(frames.to(self._device, non_blocking=True), self.fitting.mean, self.fitting.std)
            return functional.normalize(self._model.encode_image(pixels).float(), dim=-1)

    def encode_text(self, prompts: Sequence[str]) -> Tensor:
        """Sentences to float32 (n, Dv), unit length."""
        with arithmetic(self._device, self._precision):
            tokens = self._tokenizer(list(prompts)).to(self._device)
            return functional.normalize(self._model.encode_text(tokens).float(), dim=-1)

    def sentences_cut(self, prompts: Sequence[str]) -> list[bool]:
        """Which sentences have more tokens than the encoder reads."""
        length = int(self._tokenizer.context_length)
        inner = getattr(self._tokenizer, "tokenizer", None)  # of transformers
        if inner is not None:
            cleaned = [self._tokenizer.clean_fn(prompt) for prompt in prompts]
            return [len(ids) > length for ids in inner(cleaned, truncation=False, verbose=False)["input_ids"]]
        tokens = self._tokenizer(list(prompts), context_length=8 * length)
        cut: list[bool] = (tokens[:, length] != tokens[:, -1]).tolist()  # the last one is padding but for endless ones
        return cut

    def attributes(self) -> dict[str, Any]:
        """What identifies weights and preprocessing."""
        return {
            "file": self.source.weights.name,
            "sha256": sha256(self.source.weights),
            **self.fitting.facts(),
            "context_length": int(self._tokenizer.context_length),
            "tokenizer": type(self._tokenizer).__name__,
        }


def load_image_tower(source: ImageSource, device: torch.device, precision: str) -> ImageTower:
    """Build an image model and load its weights.

    Args:
        source: where it is.
        device: where to compute.
        precision: arithmetic, see :mod:`extract.device`.

    Raises:
        ExtractError: the weights are damaged or another model's (names tensors), or the tokenizer cannot be read.
    """
    with quiet():
        import open_clip

        try:
            over: dict[str, Any] = {}
            if source.text_config is not None:
                text = open_clip.get_model_config(source.architecture)["text_cfg"]
                over["text_cfg"] = {**text, "hf_model_name": str(source.text_config), "hf_model_pretrained": False}
            model: Any = open_clip.create_model(
                source.architecture,
                load_weights=False,
                pretrained_text=False,
                force_preprocess_cfg=dict(source.preprocess),
                **over,
            )
            fitting = Fitting.of(model.visual.preprocess_cfg)
        except Exception as error:  # open_clip and timm raise what they like on configurations
            raise ExtractError(f"{source.model}: no model can be built of it ({first_line(error)})") from error
        try:
            _load_weights(model, source.weights)
        except Exception as error:  # open_clip raises what it likes on damaged files
            raise ExtractError(
                f"{source.weights}: cannot be loaded as {source.model} ({_why_not(model, source.weights, error)})"
            ) from error
        tokenizer = _tokenizer(source)
    return ImageTower(source, model, tokenizer, fitting, device, precision)


def _load_weights(model: Any, path: Path) -> None:
    """Weights by open_clip's own way, all of them and no others; of OpenAI's archives without running their code."""
    from open_clip.factory import load_checkpoint

    if path.suffix != ".safetensors" and _is_archive(path):
        state = load_state(path)
        model.load_state_dict({name: tensor for name, tensor in state.items() if name not in _NOT_WEIGHTS})
    else:
        load_checkpoint(model, str(path), strict=True, weights_only=True)


def _why_not(model: Any, path: Path, error: Exception) -> str:
    """What is wrong with weights that could not be loaded; open_clip stumbles over other models' before it compares."""
    from open_clip.factory import load_state_dict
    from open_clip.model import convert_to_custom_text_state_dict

    if "Error(s) in loading" in str(error):
        return why_not_loaded(error)
    try:
        state = load_state_dict(str(path), weights_only=True)
        if not hasattr(model, "positional_embedding"):
            state = convert_to_custom_text_state_dict(state)
        shapes = {name: tensor.shape for name, tensor in state.items()}
    except Exception:  # it is the file itself that is damaged
        return why_not_loaded(error)
    expected = model.state_dict()
    missing, unknown = (
        [name for name in expected if name not in shapes],
        [name for name in shapes if name not in expected],
    )
    others = [name for name, shape in shapes.items() if name in expected and expected[name].shape != shape]
    return tensor_faults(missing, unknown, others) or why_not_loaded(error)


def _is_archive(path: Path) -> bool:
    """Whether a file is one of TorchScript."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any("/code/" in name for name in archive.namelist())


def _tokenizer(source: ImageSource) -> Any:
    """The model's own."""
    import open_clip
    from open_clip.tokenizer import HFTokenizer, SimpleTokenizer

    text = open_clip.get_model_config(source.architecture)["text_cfg"]
    length = text.get("context_length", 77)
    more = text.get("tokenizer_kwargs", {})
    if source.tokenizer is None:
        return SimpleTokenizer(context_length=length, **more)
    try:
        return HFTokenizer(
            str(source.tokenizer),
            context_length=length,
            tokenizer_mode=text.get("tokenizer_mode"),
            local_files_only=True,
            **more,
        )
    except Exception as error:  # transformers raises what it likes on damaged files
        raise ExtractError(
            f"{source.tokenizer}: no tokenizer can be read from it for {source.model} ({first_line(error)})"
        ) from error

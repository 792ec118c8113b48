"""The `pe_a_frame` detectors: each frame of sound against words, through transformers' PeAudioFrameLevelModel."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from extract.backbones.base import TextRules
from extract.backbones.pe_av.text_state import state_before_norm
from extract.backbones.weights import first_line, first_there, from_hub, no_weights, quiet, sha256
from extract.device import arithmetic
from extract.errors import ExtractError

RATE = 48_000
"""Samples a second of the mono sound that the models take."""
WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
OTHER_FILES = ("config.json", "tokenizer.json", "tokenizer_config.json")
_KIND = "pe_audio"
_TOKENS = 512
_LAYOUT = "DIR/ (the files of the repository)"


class PeAFrame:
    """A model with its tokenizer; see :class:`extract.backbones.detector.Detector` for the members."""

    visual_dim = audio_dim = 0
    frames_per_window = 1
    sample_rate: int | None = RATE
    default_labels = "llp"
    text = TextRules("{label}", "{label}", plain_labels=True)

    def __init__(
        self, model: Any, tokenizer: Any, weights: Path, device: torch.device, precision: str, *, name: str, origin: str
    ) -> None:
        """Take over a loaded model; ``origin`` says where its weights came from."""
        self.name = name
        self._hop = int(model.config.audio_config.dac_config.hop_length)
        self.frames_per_second = RATE // self._hop
        self.longest_seconds = model.config.audio_config.max_position_embeddings * self._hop / RATE
        self._model = model.eval().requires_grad_(False).to(device)
        self._tokenizer, self._weights, self._origin = tokenizer, weights, origin
        self._device, self._precision = device, precision

    @classmethod
    def from_folder(
        cls, folder: Path, device: torch.device, precision: str, *, name: str, origin: str | None = None
    ) -> "PeAFrame":
        """Load what ``save_pretrained`` of model and tokenizer wrote.

        Raises:
            ExtractError: a file is missing or damaged, or of another model.
        """
        weights = first_there(folder, WEIGHT_FILES)
        missing = [file for file in OTHER_FILES if not (folder / file).is_file()]
        if missing or weights is None:
            raise ExtractError(f"no {', '.join(missing) or ' or '.join(WEIGHT_FILES)} in {folder}: it needs {_LAYOUT}")
        _check_kind(folder / "config.json")
        with quiet():
            from transformers import AutoTokenizer, PeAudioFrameLevelModel

            try:
                tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
                model, loading = PeAudioFrameLevelModel.from_pretrained(
                    folder, dtype=torch.float32, local_files_only=True, output_loading_info=True,
                    ignore_mismatched_sizes=True,  # they are named below
                )  # fmt: skip
            except Exception as error:  # transformers raises what it likes on damaged files
                raise ExtractError(f"{weights}: cannot be loaded as PE-A-Frame ({first_line(error)})") from error
        for what, key in (
            ("missing", "missing_keys"),
            ("of another shape", "mismatched_keys"),
            ("not PE-A-Frame's", "unexpected_keys"),
        ):
            wrong = sorted(name if isinstance(name, str) else name[0] for name in loading[key])
            if wrong:
                raise ExtractError(f"{weights}: {len(wrong)} tensors are {what} ({wrong[0]})")
        return cls(model, tokenizer, weights, device, precision, name=name, origin=origin or folder.name)

    def prepare_frames(self, frames: Tensor) -> Tensor:
        """It sees nothing.

        Raises:
            ExtractError: always.
        """
        raise self._sees_nothing()

    def encode_frames(self, frames: Tensor) -> Tensor:
        """It sees nothing.

        Raises:
            ExtractError: always.
        """
        raise self._sees_nothing()

    def encode_visual_text(self, sentences: Sequence[str]) -> Tensor:
        """It sees nothing.

        Raises:
            ExtractError: always.
        """
        raise self._sees_nothing()

    def prepare_audio(self, waves: Sequence[Tensor], random: np.random.RandomState | None = None) -> Tensor:
        """n equally long sounds, float32 (samples,) each, to float32 (n, whole hops), as the model's own front end.

        The last hop is filled up with the sound mirrored at its end; what is shorter than that, with zeros.
        """
        return torch.stack([self._whole_hops(wave.float()) for wave in waves])

    def _whole_hops(self, wave: Tensor) -> Tensor:
        lacks = -len(wave) % self._hop if len(wave) else self._hop
        if lacks >= len(wave):
            return functional.pad(wave, (0, lacks))
        return torch.cat([wave, wave[-1 - lacks : -1].flip(0)]) if lacks else wave

    def encode_audio(self, sounds: Tensor) -> Tensor:
        """Prepared sounds (n, samples) to their frames' embeddings, float32 (n, frames, D), raw."""
        with arithmetic(self._device, self._precision):
            states = self._model.audio_encoder(sounds[:, None].to(self._device, non_blocking=True)).last_hidden_state
            embeddings: Tensor = self._model.audio_head(states)
            return embeddings.float()

    def encode_audio_text(self, sentences: Sequence[str]) -> Tensor:
        """Sentences to float32 (n, D), raw."""
        tokens = self._tokenizer(
            list(sentences), padding=True, truncation=True, max_length=_TOKENS, return_tensors="pt"
        )
        ids, mask = (tokens[name].to(self._device) for name in ("input_ids", "attention_mask"))
        with arithmetic(self._device, self._precision):
            embeddings: Tensor = self._model.text_audio_head(state_before_norm(self._model.text_model, ids, mask))
            return embeddings.float()

    def detect(self, sounds: Tensor, words: Tensor) -> Tensor:
        """Prepared sounds (n, samples) and words (C, D) to probabilities, float32 (n, frames, C)."""
        frames = self.encode_audio(sounds)
        with torch.inference_mode():
            scale, bias = self._model.text_audio_logit_scale, self._model.text_audio_logit_bias
            return torch.sigmoid(frames @ words.T * scale + bias)

    def attributes(self) -> dict[str, Any]:
        """Origin, hash, rate and hop."""
        return {
            "pe_a_frame": {
                "origin": self._origin,
                "file": self._weights.name,
                "sha256": sha256(self._weights),
                "sample_rate": RATE,
                "hop": self._hop,
                "text_state": "before the last norm",
            }
        }

    def _sees_nothing(self) -> ExtractError:
        return ExtractError(f"{self.name} hears only: for pictures use another backbone")


def _check_kind(path: Path) -> None:
    try:
        kind = json.loads(path.read_text("utf-8"))["model_type"]
    except (KeyError, TypeError, ValueError) as error:
        raise ExtractError(f"{path}: cannot be used ({error!r})") from error
    if kind != _KIND:
        raise ExtractError(f"{path}: a model of type {kind!r}, not {_KIND!r}: name a folder with PE-A-Frame")


def _load(name: str, size: str, checkpoint: Path | None, device: torch.device, precision: str) -> PeAFrame:
    if checkpoint is not None:
        return PeAFrame.from_folder(checkpoint, device, precision, name=name)
    repository = f"facebook/pe-a-frame-{size}"
    folder = from_hub(repository, WEIGHT_FILES[:1], OTHER_FILES)
    if folder is None:
        raise no_weights([repository], _LAYOUT)
    return PeAFrame.from_folder(folder, device, precision, name=name, origin=f"{repository}@{folder.name}")


def load_large(checkpoint: Path | None, device: torch.device, precision: str) -> PeAFrame:
    """Load `pe_a_frame` from a folder, or facebook/pe-a-frame-large from the hub (or what it left in its cache).

    Raises:
        ExtractError: weights are missing, damaged, or another model's.
    """
    return _load("pe_a_frame", "large", checkpoint, device, precision)


def load_base(checkpoint: Path | None, device: torch.device, precision: str) -> PeAFrame:
    """The same for `pe_a_frame_base`, facebook/pe-a-frame-base."""
    return _load("pe_a_frame_base", "base", checkpoint, device, precision)


def load_small(checkpoint: Path | None, device: torch.device, precision: str) -> PeAFrame:
    """The same for `pe_a_frame_small`, facebook/pe-a-frame-small."""
    return _load("pe_a_frame_small", "small", checkpoint, device, precision)

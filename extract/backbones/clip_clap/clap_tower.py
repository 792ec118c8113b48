"""CLAP through transformers: sound and sentences to unit vectors."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from extract.backbones.clip_clap.laion_checkpoint import clap_from_laion, laion_tokenizer
from extract.backbones.clip_clap.log_mel import LogMel, MelConfig, fit_window
from extract.backbones.weights import first_line, first_there, quiet, sha256
from extract.device import arithmetic
from extract.errors import ExtractError
from extract.media.audio_windows import SoundWindows

REPOSITORY = "laion/clap-htsat-unfused"
WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
CONFIG_FILES = ("config.json", "preprocessor_config.json", "tokenizer_config.json")

_TOKENS = 77


class ClapTower:
    """A ClapModel with its tokenizer and front end."""

    def __init__(
        self, model: Any, tokenizer: Any, mel: MelConfig, weights: Path, device: torch.device, precision: str
    ) -> None:
        """Take over a loaded model; for the class methods' use."""
        self.mel = mel
        self.dim = int(model.config.projection_dim)
        self.weights = weights
        self._model = model.eval().requires_grad_(False).to(device)
        self._tokenizer = tokenizer
        self._log_mel = LogMel(mel)
        self._device, self._precision = device, precision

    @classmethod
    def from_folder(cls, folder: Path, device: torch.device, precision: str) -> "ClapTower":
        """Load what ``save_pretrained`` of model, feature extractor and tokenizer wrote.

        Raises:
            ExtractError: a file is missing or damaged, or the model is one with fusion.
        """
        missing = [name for name in CONFIG_FILES if not (folder / name).is_file()]
        weights = first_there(folder, WEIGHT_FILES)
        if missing or weights is None:
            raise ExtractError(f"no {', '.join(missing) or ' or '.join(WEIGHT_FILES)} in {folder}")
        try:
            mel = MelConfig.from_preprocessor(json.loads((folder / "preprocessor_config.json").read_text("utf-8")))
        except (KeyError, TypeError, ValueError) as error:
            raise ExtractError(f"{folder / 'preprocessor_config.json'}: cannot be used ({error!r})") from error
        with quiet():
            from transformers import AutoTokenizer, ClapModel

            try:
                tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
                model, loading = ClapModel.from_pretrained(
                    folder, dtype=torch.float32, local_files_only=True, output_loading_info=True
                )
            except Exception as error:  # transformers raises what it likes on damaged files
                raise ExtractError(f"{weights}: cannot be loaded as CLAP ({first_line(error)})") from error
        lost = [*loading["missing_keys"], *loading["mismatched_keys"]]
        if lost:
            raise ExtractError(f"{weights}: {len(lost)} tensors are missing or of another shape ({lost[0]})")
        if model.config.audio_config.enable_fusion:
            raise ExtractError(f"{weights}: a CLAP with fusion; use one without, as {REPOSITORY}")
        return cls(model, tokenizer, mel, weights, device, precision)

    @classmethod
    def from_laion_file(cls, path: Path, device: torch.device, precision: str) -> "ClapTower":
        """Load a .pt of the laion_clap package, without that package; one without fusion.

        Args:
            path: the file; files of the tokenizer may lie beside it, else the hub's are taken.
            device: where to compute.
            precision: arithmetic, see :mod:`extract.device`.

        Raises:
            ExtractError: the file or the tokenizer is missing, damaged or of another model.
        """
        model, mel = clap_from_laion(path)
        tokenizer = laion_tokenizer(path, model.config.text_config.vocab_size)
        return cls(model, tokenizer, mel, path, device, precision)

    def prepare_audio(self, waves: Sequence[Tensor], random: np.random.RandomState | None = None) -> Tensor:
        """n stretches of sound, float32 (samples,) each, to log-mel spectrograms, float32 (n, frames, bands).

        With ``random`` a stretch longer than the encoder's window is cut at a random place, else to its centre.
        """
        if random is None and isinstance(waves, SoundWindows):
            return self._log_mel.of_windows(waves)
        samples = self.mel.window_samples
        return self._log_mel(torch.stack([fit_window(cut_at_random(wave, samples, random), samples) for wave in waves]))

    def encode_audio(self, mels: Tensor) -> Tensor:
        """Log-mel spectrograms (n, frames, bands) to float32 (n, Da), unit length."""
        with arithmetic(self._device, self._precision):
            inputs = mels[:, None].to(self._device, non_blocking=True)
            features: Tensor = self._model.get_audio_features(inputs).pooler_output
            return features.float()

    def encode_text(self, prompts: Sequence[str]) -> Tensor:
        """Sentences to float32 (n, Da), unit length."""
        tokens = self._tokenizer(
            list(prompts), padding="max_length", truncation=True, max_length=_TOKENS, return_tensors="pt"
        )
        with arithmetic(self._device, self._precision):
            features: Tensor = self._model.get_text_features(
                input_ids=tokens["input_ids"].to(self._device),
                attention_mask=tokens["attention_mask"].to(self._device),
            ).pooler_output
            return features.float()

    def sentences_cut(self, prompts: Sequence[str]) -> list[bool]:
        """Which sentences have more tokens than the encoder reads."""
        return more_tokens(self._tokenizer, prompts)

    def attributes(self) -> dict[str, Any]:
        """What identifies weights and front end."""
        return {
            "file": self.weights.name,
            "sha256": sha256(self.weights),
            "log_mel": asdict(self.mel),
            "windows": "shorter repeated whole times, then zeros; longer cut to the centre",
        }


def more_tokens(tokenizer: Any, sentences: Sequence[str]) -> list[bool]:
    """Which sentences have more tokens than CLAP's text encoders read."""
    return [len(ids) > _TOKENS for ids in tokenizer(list(sentences), truncation=False, verbose=False)["input_ids"]]


def cut_at_random(wave: Tensor, samples: int, random: np.random.RandomState | None) -> Tensor:
    """A random stretch of a longer waveform, float32 (samples,); a shorter one, or any without ``random``, as it is."""
    excess = int(wave.shape[0]) - samples
    if random is None or excess <= 0:
        return wave
    start = random.randint(0, excess + 1)
    return wave[start : start + samples]

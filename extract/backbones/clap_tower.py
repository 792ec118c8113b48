"""CLAP through transformers: sound and sentences to unit vectors."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from extract.audio_features import LogMel, MelConfig, fit_window
from extract.backbones.weights import first_line, first_there, quiet, sha256
from extract.device import arithmetic
from extract.errors import ExtractError
from extract.sound_windows import SoundWindows

REPOSITORY = "laion/clap-htsat-unfused"
WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
CONFIG_FILES = ("config.json", "preprocessor_config.json", "tokenizer_config.json")

_TOKENS = 77


class ClapTower:
    """A ClapModel with its tokenizer and front end."""

    def __init__(
        self, model: Any, tokenizer: Any, mel: MelConfig, weights: Path, device: torch.device, precision: str
    ) -> None:
        """Take over a loaded model; for the class method's use."""
        self.mel = mel
        self.dim = int(model.config.projection_dim)
        self.weights = weights
        self._model = model.eval().requires_grad_(False).to(device)
        self._tokenizer = tokenizer
        self._log_mel = LogMel(mel, device)
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
            mel = MelConfig.from_preprocessor(json.loads((folder / "preprocessor_config.json").read_text()))
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

    def encode_audio(self, waves: Sequence[Tensor]) -> Tensor:
        """n stretches of sound, float32 (samples,) each, to float32 (n, Da), unit length."""
        with arithmetic(self._device, self._precision):
            with torch.autocast(self._device.type, enabled=False):
                mel = self._mels(waves)
            features: Tensor = self._model.get_audio_features(mel[:, None]).pooler_output
            return features.float()

    def _mels(self, waves: Sequence[Tensor]) -> Tensor:
        if isinstance(waves, SoundWindows):
            return self._log_mel.of_windows(SoundWindows(waves.wave.to(self._device), waves.stretches))
        samples = self.mel.window_samples
        return self._log_mel(torch.stack([fit_window(wave.to(self._device), samples) for wave in waves]))

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

    def attributes(self) -> dict[str, Any]:
        """What identifies weights and front end."""
        return {
            "file": self.weights.name,
            "sha256": sha256(self.weights),
            "log_mel": asdict(self.mel),
            "windows": "shorter repeated whole times, then zeros; longer cut to the centre",
        }

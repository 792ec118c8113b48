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
from extract.backbones.weights import first_there, from_hub, quiet, sha256, tensor_faults, why_not_loaded
from extract.device import arithmetic
from extract.errors import ExtractError
from extract.media.audio_windows import SoundWindows

REPOSITORY = "laion/clap-htsat-unfused"
WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
CONFIG_FILES = ("config.json", "preprocessor_config.json", "tokenizer_config.json")
WORD_FILES = ("tokenizer.json", "vocab.json", "merges.txt", "special_tokens_map.json")
"""Of the tokenizer; a repository has some of them."""

_TOKENS = 77


class ClapTower:
    """A ClapModel with its tokenizer and front end."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        mel: MelConfig,
        weights: Path,
        device: torch.device,
        precision: str,
        *,
        scale: str = "slaney",
    ) -> None:
        """Take over a loaded model; for the class methods' use. ``scale`` is that of the mel bands."""
        self.mel = mel
        self.dim = int(model.config.projection_dim)
        self.weights = weights
        self._model = model.eval().requires_grad_(False).to(device)
        self._tokenizer = tokenizer
        self._fused, self._scale = bool(model.config.audio_config.enable_fusion), scale
        self._log_mel = LogMel(mel, scale=scale)
        self._device, self._precision = device, precision

    @classmethod
    def from_folder(cls, folder: Path, device: torch.device, precision: str) -> "ClapTower":
        """Load what ``save_pretrained`` of model, feature extractor and tokenizer wrote.

        Raises:
            ExtractError: a file is missing or damaged, or the model is none that is read.
        """
        missing = [name for name in CONFIG_FILES if not (folder / name).is_file()]
        weights = first_there(folder, WEIGHT_FILES)
        if missing or weights is None:
            raise ExtractError(f"no {', '.join(missing) or ' or '.join(WEIGHT_FILES)} in {folder}")
        mel, truncation = _front_end(folder)
        with quiet():
            from transformers import AutoTokenizer, ClapModel

            try:
                tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
                model, loading = ClapModel.from_pretrained(
                    folder,
                    dtype=torch.float32,
                    local_files_only=True,
                    output_loading_info=True,
                    ignore_mismatched_sizes=True,  # they are named below
                )
            except Exception as error:  # transformers raises what it likes on damaged files
                raise ExtractError(f"{weights}: cannot be loaded as CLAP ({why_not_loaded(error)})") from error
        missing, shapes = sorted(loading["missing_keys"]), sorted(str(each[0]) for each in loading["mismatched_keys"])
        if missing or shapes:
            faults = tensor_faults(missing, sorted(loading["unexpected_keys"]), shapes)
            raise ExtractError(f"{weights}: cannot be loaded as CLAP ({faults})")
        heard = model.config.audio_config
        if heard.enable_fusion and heard.fusion_type == "channel_map":
            raise ExtractError(f"{weights}: a CLAP with fusion by channels, which is not supported")
        scale = "htk" if heard.enable_fusion and truncation == "fusion" else "slaney"
        return cls(model, tokenizer, mel, weights, device, precision, scale=scale)

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
            more = {}
            if self._fused:  # four equal ones, none of a sound that is longer than the window
                inputs = inputs.expand(-1, 4, -1, -1)
                more["is_longer"] = torch.zeros((len(mels), 1), dtype=torch.bool, device=self._device)
            features: Tensor = self._model.get_audio_features(inputs, **more).pooler_output
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
        facts = {
            "file": self.weights.name,
            "sha256": sha256(self.weights),
            "log_mel": asdict(self.mel),
            "windows": "shorter repeated whole times, then zeros; longer cut to the centre",
        }
        if self._fused:
            facts |= {"mel_scale": self._scale, "fusion": "none: no sound counts as longer than the window"}
        return facts


def from_the_hub(repository: str) -> Path | None:
    """The folder of a CLAP of transformers; None: it is not here, and the hub gives none."""
    return from_hub(repository, WEIGHT_FILES, CONFIG_FILES, WORD_FILES)


def _front_end(folder: Path) -> tuple[MelConfig, str]:
    """What becomes of sound, and what of sound that is too long.

    Raises:
        ExtractError: the configurations are damaged, or another kind of model's; says what is not supported.
    """
    config, file = folder / "config.json", folder / "preprocessor_config.json"
    kind = _read(config, "loaded as CLAP").get("model_type", "clap")
    if kind != "clap":
        raise ExtractError(f"{config}: a model of type {kind!r} is not supported, only transformers' 'clap'")
    stored = _read(file, "used")
    extractor = stored.get("feature_extractor_type", "ClapFeatureExtractor")
    for name, found, known in (
        ("feature_extractor_type", extractor, ("ClapFeatureExtractor",)),
        ("padding", stored.get("padding", "repeatpad"), ("repeatpad",)),
        ("truncation", stored.get("truncation", "fusion"), ("fusion", "rand_trunc")),
    ):
        if found not in known:
            raise ExtractError(f"{file}: {name} {found!r} is not supported, only {' or '.join(known)}")
    try:
        return MelConfig.from_preprocessor(stored), str(stored.get("truncation", "fusion"))
    except (KeyError, TypeError, ValueError) as error:
        raise ExtractError(f"{file}: cannot be used ({error!r})") from error


def _read(path: Path, what: str) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ExtractError(f"{path}: cannot be {what} ({error!r})") from error
    if not isinstance(found, dict):
        raise ExtractError(f"{path}: cannot be {what} (no object of JSON)")
    return found


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

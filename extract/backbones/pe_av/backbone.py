"""The `pe_av` backbones: pictures, sound, both at once, and sentences for each of the three (docs/design.md 5)."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from extract.backbones.base import Encoded, TextRules
from extract.backbones.pe_av.checkpoint import Checkpoint, check_packages, folder_of
from extract.backbones.pe_av.config import USUAL_FRAMES, VIDEO_FILE
from extract.backbones.pe_av.encoders import Encoders
from extract.backbones.pe_av.names import CHECKPOINTS
from extract.backbones.pe_av.sounds import filled
from extract.backbones.pixels import check_frames
from extract.errors import ExtractError
from extract.media.audio_windows import SoundWindows

SAMPLE_RATE = 48_000
MOST_WORDS = 512
"""Tokens of a sentence that are read."""


class PeAv:
    """Encoders of a PE-AV model; see :class:`extract.backbones.base.JointBackbone` for the members.

    All embeddings are unit vectors: the scale and bias of the model's own logits cancel in the z-scores
    (docs/design.md 4.1).
    """

    sample_rate = SAMPLE_RATE
    default_labels = "llp"
    random_flips = False
    text = TextRules(plain_labels=True, unit_visual=True, unit_audio=True)

    def __init__(self, name: str, encoders: Encoders) -> None:
        """Take over loaded encoders."""
        self.name = name
        self.visual_dim, self.audio_dim = encoders.dims["visual"], encoders.dims["audio"]
        self.joint_dim = encoders.dims["joint"]
        self.frames_per_window = encoders.how.frames or USUAL_FRAMES
        self._encoders = encoders
        self._words = encoders.tokenizer

    @property
    def frame_rule(self) -> str:
        """Which frames of a window are looked at."""
        return f"int(i*(n-1)/{self.frames_per_window - 1}), i = 0 ... {self.frames_per_window - 1}"

    def window_frames(self, frames: int, seconds: float) -> NDArray[np.int64]:
        """Which of a window's frames are looked at, as the model's own processor chooses them: int64 (F,)."""
        return np.arange(self.frames_per_window) * (frames - 1) // max(1, self.frames_per_window - 1)

    def prepare_frames(self, frames: Tensor) -> Tensor:
        """uint8 (n, 3, H, W) to uint8 (n, 3, S, S): squeezed to a square, bilinear with antialias, on whole numbers."""
        check_frames(frames)
        side = self._encoders.side
        if frames.shape[2:] == (side, side):
            return frames
        return functional.interpolate(frames, (side, side), mode="bilinear", antialias=True)

    def prepare_video_frames(self, frames: Tensor) -> Tensor:
        """The same: images are windows of one frame."""
        return self.prepare_frames(frames)

    def prepare_audio(self, waves: Sequence[Tensor], random: np.random.RandomState | None = None) -> Tensor:
        """n stretches of equal length to float32 (n, samples), filled to whole tokens.

        Raises:
            ValueError: stretches of several lengths.
        """
        stretches = [filled(wave, self._encoders.hop) for wave in waves]
        if len({len(wave) for wave in stretches}) > 1:
            raise ValueError("stretches of several lengths lie in no one tensor: embed_sounds takes them")
        return torch.stack(stretches)

    def embed_frames(self, frames: Tensor) -> Tensor:
        """uint8 (n, 3, S, S) to (n, E)."""
        return self._encoders.embed_frames(frames)

    def embed_sounds(self, waves: SoundWindows) -> list[Tensor]:
        """Stretches of a waveform to their tokens, (length, E) each.

        Raises:
            ExtractError: one is longer than 400 seconds.
        """
        lengths = waves.stretches[:, 1] - waves.stretches[:, 0]
        self._check_length(int(lengths.max(initial=0)))
        return self._encoders.embed_stretches(waves.wave, waves.stretches)

    def encode_frame_windows(self, windows: Tensor) -> Encoded:
        """Embedded frames of n windows, (n, F, E), to unit vectors and states."""
        return self._encoders.pictures(windows)

    def encode_sound_windows(self, sounds: Tensor) -> Encoded:
        """Tokens of n windows of one length, (n, length, E), to unit vectors and states."""
        return self._encoders.sounds(sounds)

    def encode_joint(self, pictures: Tensor, sounds: Tensor) -> Tensor:
        """The states of n windows' frames and sound to float32 (n, D), unit length."""
        return self._encoders.joint(pictures, sounds)

    def encode_frames(self, frames: Tensor) -> Tensor:
        """uint8 (n, 3, S, S) to float32 (n, D), unit length."""
        return self._encoders.pictures(self.embed_frames(frames)[:, None]).vectors

    def encode_video(self, windows: Tensor) -> Tensor:
        """uint8 (n, F, 3, S, S) to float32 (n, D), unit length."""
        embedded = self.embed_frames(windows.flatten(0, 1))
        return self._encoders.pictures(embedded.view(*windows.shape[:2], -1)).vectors

    def encode_audio(self, sounds: Tensor) -> Tensor:
        """float32 (n, samples) to float32 (n, D), unit length."""
        self._check_length(int(sounds.shape[1]))
        return self._encoders.sounds(self._encoders.embed_waves(sounds)).vectors

    def encode_visual_text(self, sentences: Sequence[str]) -> Tensor:
        """Sentences to float32 (n, D), unit length."""
        return self._sentences("visual", sentences)

    def encode_audio_text(self, sentences: Sequence[str]) -> Tensor:
        """Sentences to float32 (n, D), unit length, in another space."""
        return self._sentences("audio", sentences)

    def encode_joint_text(self, sentences: Sequence[str]) -> Tensor:
        """Sentences to float32 (n, D), unit length, in a third one."""
        return self._sentences("joint", sentences)

    def sentences_cut(self, side: str, sentences: Sequence[str]) -> list[bool]:
        """Which sentences are not read to their ends; on every side the same ones."""
        return [
            len(ids) > MOST_WORDS for ids in self._words(list(sentences), truncation=False, verbose=False)["input_ids"]
        ]

    def attributes(self) -> dict[str, Any]:
        """Origin, hash, sizes and preprocessing."""
        pictures = self._encoders.how
        return {
            "pe_av": self._encoders.facts,
            "preprocessing": {
                "image": "the frame as a window of one",
                "video": (
                    f"squeezed to {self._encoders.side} x {self._encoders.side}, bilinear with antialias on 8 bits, "
                    f"mean {list(pictures.mean)}, std {list(pictures.std)}; {self.frames_per_window} frames a window"
                ),
                "audio": f"mono, {SAMPLE_RATE} Hz, mirrored at its end to whole tokens of {self._encoders.hop} samples",
            },
        }

    def _sentences(self, side: str, sentences: Sequence[str]) -> Tensor:
        """Sentences of equal length together: none is filled up, so that none depends on its neighbours' lengths."""
        ids = self._words(list(sentences), truncation=True, max_length=MOST_WORDS)["input_ids"]
        found: Tensor | None = None
        for length in sorted({len(each) for each in ids}):
            rows = [row for row, each in enumerate(ids) if len(each) == length]
            tokens = torch.tensor([ids[row] for row in rows])
            vectors = self._encoders.sentences(side, tokens, torch.ones_like(tokens))
            found = vectors.new_zeros((len(ids), vectors.shape[1])) if found is None else found
            found[torch.tensor(rows, device=found.device)] = vectors
        assert found is not None
        return found

    def _check_length(self, samples: int) -> None:
        most = self._encoders.most_tokens * self._encoders.hop
        if samples > most:
            raise ExtractError(
                f"{self.name} hears {most // SAMPLE_RATE} s of sound at most, a clip has {samples // SAMPLE_RATE} s: "
                "cut files into shorter clips with `clip_seconds`, or shorten them"
            )


def load(name: str, checkpoint: Path | None, device: torch.device, precision: str) -> PeAv:
    """Load from a folder with any PE-AV model, or the published one of a name from the hub (or what it left here).

    Raises:
        ExtractError: weights are missing or damaged; says which, and how to place them.
    """
    check_packages()
    published = CHECKPOINTS[name]
    folder = folder_of(published.repository) if checkpoint is None else checkpoint
    found = Checkpoint.from_folder(folder)
    if published.frames and found.pictures.frames != published.frames:
        raise ExtractError(
            f"{folder / VIDEO_FILE}: num_frames is {found.pictures.frames or None}, not {published.frames}: these are "
            f"no weights of {published.repository}; `backbone='pe_av'` takes those of any PE-AV"
        )
    encoders = Encoders(found, device, precision)
    if encoders.side != found.pictures.side:
        raise ExtractError(
            f"{folder / VIDEO_FILE}: pictures of {found.pictures.side} pixels, but the encoder takes "
            f"{encoders.side or 'no squares'}; get both from one hub page"
        )
    return PeAv(name, encoders)


def _loader(name: str) -> Callable[[Path | None, torch.device, str], PeAv]:
    def of_name(checkpoint: Path | None, device: torch.device, precision: str) -> PeAv:
        return load(name, checkpoint, device, precision)

    return of_name


load_pe_av = _loader("pe_av")
load_pe_av_base = _loader("pe_av_base")
load_pe_av_small = _loader("pe_av_small")
load_pe_av_16_frame = _loader("pe_av_16_frame")
load_pe_av_base_16_frame = _loader("pe_av_base_16_frame")
load_pe_av_small_16_frame = _loader("pe_av_small_16_frame")

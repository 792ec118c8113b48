"""What an encoder must be able to do; one file in this folder implements it for one family of models."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class TextEmbeddings(NamedTuple):
    """Embeddings of C labels.

    Attributes:
        visual: float32 (C, Dv), to compare frames with.
        audio: float32 (C, Da), to compare sound with.
        prompts: the sentences that were encoded, by "visual" and "audio".
    """

    visual: NDArray[np.float32]
    audio: NDArray[np.float32]
    prompts: dict[str, list[str]]


class Backbone(Protocol):
    """Encoders of frames, sound and labels (docs/design.md 5).

    Equal inputs in equal batches give equal outputs. Embeddings come in float32 whatever the precision of
    the arithmetic, on the device of the encoders. On a CPU several threads call one backbone at a time.
    """

    @property
    def name(self) -> str:
        """Name in the registry and in caches."""

    @property
    def visual_dim(self) -> int:
        """Dv."""

    @property
    def audio_dim(self) -> int:
        """Da."""

    @property
    def frames_per_window(self) -> int:
        """F, embeddings of a visual window: 8 for frame-wise encoders."""

    @property
    def image_size(self) -> int:
        """S, side of a frame in pixels."""

    @property
    def sample_rate(self) -> int:
        """Rate in Hz of the sound that encode_audio takes."""

    @property
    def window_samples(self) -> int:
        """Samples that the sound encoder sees at once; other lengths are brought to it."""

    @property
    def default_labels(self) -> str:
        """Label set for people who name none."""

    def encode_frames(self, frames: Tensor) -> Tensor:
        """uint8 (n, 3, S, S) RGB, on any device, to float32 (n, Dv)."""

    def encode_audio(self, waves: Sequence[Tensor]) -> Tensor:
        """n stretches of mono sound, each float32 (samples,) of any length, to float32 (n, Da).

        The pipeline passes :class:`extract.sound_windows.SoundWindows`, which also knows the whole waveform.
        """

    def encode_text(self, labels: Sequence[str]) -> TextEmbeddings:
        """Labels as the user wrote them to their embeddings."""

    def attributes(self) -> dict[str, Any]:
        """JSON-able facts that identify model and preprocessing: checkpoints, hashes, sizes, prompts."""


class Loader(Protocol):
    """Makes a backbone; a registry entry is one of these."""

    def __call__(self, checkpoint: Path | None, device: torch.device, precision: str) -> Backbone:
        """Load weights from a local folder, or from where the backbone's own weights lie if None.

        Raises:
            ExtractError: weights are missing or damaged, in one line that says how to place them.
        """

"""What a backbone must be able to do; docs/backbones.md shows how to write one.

A clip passes through a backbone in two steps: `prepare_…` turns pixels and samples into what the encoders
take (on the CPU, in the thread that decodes the clip), `encode_…` turns that into embeddings (on the device,
many windows at once).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from extract.media.audio_windows import SoundWindows


class Backbone(Protocol):
    """Encoders of frames, sound and sentences (docs/design.md 5).

    Equal inputs in equal batches give equal outputs. Embeddings come in float32 whatever the precision of
    the arithmetic, on the device of the encoders. Several threads call one backbone at a time.

    A backbone without video encoder (one that is no :class:`VideoBackbone`) sees a window as single frames.
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
        """Frames that are looked at in a window: 8 in the paper."""

    @property
    def sample_rate(self) -> int | None:
        """Rate in Hz of the mono sound that prepare_audio takes; None: the file's own rate and channels."""

    @property
    def default_labels(self) -> str:
        """Label set for people who name none."""

    @property
    def text(self) -> "TextRules":
        """How labels become sentences."""

    def prepare_frames(self, frames: Tensor) -> Tensor:
        """uint8 (n, 3, H, W) RGB frames of any one size to (n, ...), each frame by itself."""

    def prepare_audio(self, waves: Sequence[Tensor], random: np.random.RandomState | None = None) -> Tensor:
        """n stretches of sound to (n, ...).

        Args:
            waves: float32 (samples,) each, at ``sample_rate``; float32 (channels, samples) if that is None.
                Any length, zero too. The pipeline passes :class:`extract.media.audio_windows.SoundWindows`, which
                also knows the whole waveform and its rate.
            random: makes the random choices of the official code, where it makes some; None: fixed ones.
        """

    def encode_frames(self, frames: Tensor) -> Tensor:
        """What prepare_frames gave, (n, ...) on any device, to float32 (n, Dv)."""

    def encode_audio(self, sounds: Tensor) -> Tensor:
        """What prepare_audio gave, (n, ...) on any device, to float32 (n, Da)."""

    def encode_visual_text(self, sentences: Sequence[str]) -> Tensor:
        """Sentences to float32 (n, Dv), to compare frames with."""

    def encode_audio_text(self, sentences: Sequence[str]) -> Tensor:
        """Sentences to float32 (n, Da), to compare sound with."""

    def attributes(self) -> dict[str, Any]:
        """JSON-able facts that identify model and preprocessing: checkpoints, hashes, sizes."""


@runtime_checkable
class VideoBackbone(Backbone, Protocol):
    """A backbone whose visual embedding of a window is one vector from a video encoder."""

    @property
    def random_flips(self) -> bool:
        """Whether the official transform flips a window's frames at random."""

    def prepare_video_frames(self, frames: Tensor) -> Tensor:
        """uint8 (n, 3, H, W) RGB frames of any one size to (n, ...), each frame by itself; width is last."""

    def encode_video(self, windows: Tensor) -> Tensor:
        """What prepare_video_frames gave of the frames of n windows, (n, F, ...), to float32 (n, Dv)."""


@runtime_checkable
class FrameChooser(VideoBackbone, Protocol):
    """A video backbone with a rule of its own for which frames of a window it looks at."""

    @property
    def frame_rule(self) -> str:
        """Which frames are chosen, in words, to be recorded in a cache."""

    def window_frames(self, frames: int, seconds: float) -> NDArray[np.int64]:
        """Which frames of a window are looked at: int64, frames_per_window in all, any shape.

        Args:
            frames: how many it has; they are counted from 0.
            seconds: its length.
        """


class SharedAudio(NamedTuple):
    """The sound of n windows as short views that they share.

    Attributes:
        views: (k, ...), each distinct view once, as encode_audio takes it.
        rows: int64 (n, V), those of ``views`` that make up a window.
    """

    views: Tensor
    rows: NDArray[np.int64]


@runtime_checkable
class SharedViews(FrameChooser, Protocol):
    """A video backbone that sees and hears a window as several short views, of which windows share many.

    Each distinct view is encoded once; a window's embedding is the mean of its views' unit vectors, at unit length
    again. frames_per_window is the number of frames in all views of a window, window_frames gives them as
    (V, frames_per_view), V always the same, and encode_video takes any number of views.
    """

    @property
    def frames_per_view(self) -> int:
        """Frames of a view of pictures."""

    def prepare_shared_audio(self, waves: SoundWindows) -> SharedAudio:
        """What prepare_audio makes of windows, each distinct view once."""


class Encoded(NamedTuple):
    """What an encoder makes of n windows.

    Attributes:
        vectors: float32 (n, D), unit length.
        states: (n, length, ...), what the joint encoder takes of them.
    """

    vectors: Tensor
    states: Tensor


@runtime_checkable
class TwoStep(VideoBackbone, Protocol):
    """A video backbone that embeds frames and sound by themselves first, then looks at windows of what came out.

    Each distinct frame is embedded once, as prepare_frames gives it, for images and windows alike; of the sound what
    windows share. An image is a window of one frame. Windows of sound are encoded beside others of equal length alone,
    without padding. Nothing is prepared of sound: prepare_audio and encode_audio take stretches of one length.
    """

    def embed_frames(self, frames: Tensor) -> Tensor:
        """What prepare_frames gave, (n, ...) on any device, to (n, E) on the encoders'."""

    def embed_sounds(self, waves: SoundWindows) -> list[Tensor]:
        """Stretches of a waveform to their tokens, (length, E) each, on the encoders' device.

        Raises:
            ExtractError: one is longer than the encoders hear.
        """

    def encode_frame_windows(self, windows: Tensor) -> Encoded:
        """What embed_frames gave of the frames of n windows, (n, F, E), F at least 1."""

    def encode_sound_windows(self, sounds: Tensor) -> Encoded:
        """What embed_sounds gave of n windows of equal length, (n, length, E)."""


@runtime_checkable
class JointBackbone(TwoStep, Protocol):
    """A two-step backbone that also embeds picture and sound of a window at once."""

    @property
    def joint_dim(self) -> int:
        """Dj."""

    def encode_joint(self, pictures: Tensor, sounds: Tensor) -> Tensor:
        """The states of n windows' frames and of their sound to float32 (n, Dj), unit length."""

    def encode_joint_text(self, sentences: Sequence[str]) -> Tensor:
        """Sentences to float32 (n, Dj), unit length, to compare joint embeddings with; prompts are the visual ones."""


@runtime_checkable
class BoundedText(Protocol):
    """A backbone that knows how long a sentence its text encoders read; others may leave this out."""

    def sentences_cut(self, side: str, sentences: Sequence[str]) -> list[bool]:
        """Which sentences are longer than the encoder of a side, "visual", "audio" or "joint", reads."""


@dataclass(frozen=True)
class TextRules:
    """How labels become sentences, and what the sentences' embeddings are.

    Attributes:
        visual_prompt: sentence for the visual side, "{label}" standing for the label.
        audio_prompt: the same for the audio side.
        plain_labels: write labels in lower case, with spaces for underscores.
        unit_visual: visual text embeddings have unit length.
        unit_audio: audio text embeddings have unit length.
        one_space: visual and audio text embeddings of a sentence are the same.
    """

    visual_prompt: str = "A {label}"
    audio_prompt: str = "This is a sound of {label}"
    plain_labels: bool = False
    unit_visual: bool = False
    unit_audio: bool = False
    one_space: bool = False


class Loader(Protocol):
    """Makes a backbone; a registry entry is one of these.

    It may have an attribute ``info``, a :class:`extract.backbones.BackboneInfo`.
    """

    def __call__(self, checkpoint: Path | None, device: torch.device, precision: str) -> Backbone:
        """Load weights from a local folder, or from where the backbone's own weights lie if None.

        Raises:
            ExtractError: weights are missing or damaged, in one line that says how to place them.
        """

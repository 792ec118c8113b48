"""A clock that can be read back: pictures show their time, sound is a chirp whose pitch is its time.

A backbone whose embeddings are the times that it saw and heard reads it, through the real command: what it is tested
with is a cache.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from extract.backbones import BackboneInfo
from extract.backbones.base import TextRules
from feature_cache import FeatureCache

BLOCKS = 4
LOWEST, HERTZ_A_SECOND = 500.0, 100.0
RATE = 16_000
LISTEN = 0.06
"""Seconds around the middle of a window that are listened to."""
QUIET = -1.0
"""What is heard where there is nothing to hear."""


def picture(seconds: float, width: int = 64, height: int = 64) -> NDArray[np.uint8]:
    """uint8 (H, W, 3): milliseconds as 16 blocks, black or white."""
    bits = [round(seconds * 1000) >> (BLOCKS**2 - 1 - place) & 1 for place in range(BLOCKS**2)]
    blocks = np.array(bits).reshape(BLOCKS, BLOCKS) * 219 + 16
    grey = blocks[np.arange(height) * BLOCKS // height][:, np.arange(width) * BLOCKS // width]
    return np.repeat(grey[..., None], 3, axis=2).astype(np.uint8)


def painted(fps: float, start: float = 0.0) -> Any:
    """What `make_video` paints frames with."""
    return lambda number, width, height: picture(start + number / fps, width, height)


def chirp(seconds: float, rate: int = RATE, start: float = 0.0) -> NDArray[np.float32]:
    """float32 (1, samples): LOWEST Hz at second 0, HERTZ_A_SECOND more each second."""
    time = start + np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * (LOWEST * time + HERTZ_A_SECOND * time**2 / 2)
    return (0.5 * np.sin(phase)).astype(np.float32)[None]


def seen(frames: Tensor) -> Tensor:
    """uint8 (n, 3, H, W) to float64 (n, 1): seconds."""
    grey = frames.double().mean(1)
    height, width = grey.shape[1:]
    rows = ((torch.arange(BLOCKS) + 0.5) * height / BLOCKS).long()
    columns = ((torch.arange(BLOCKS) + 0.5) * width / BLOCKS).long()
    bits = (grey[:, rows][:, :, columns] > 125).reshape(len(grey), -1).double()
    return (bits @ 2.0 ** torch.arange(BLOCKS**2 - 1, -1, -1).double() / 1000)[:, None]


def heard(wave: Tensor) -> float:
    """Seconds in the middle of some sound; QUIET where it is silent."""
    middle, half = wave.shape[-1] // 2, round(LISTEN * RATE / 2)
    part = wave[max(0, middle - half) : middle + half].double().numpy()
    if len(part) < half or np.abs(part).max() < 1e-3:
        return QUIET
    size = 1 << 15
    spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part)), size))
    return float((spectrum.argmax() * RATE / size - LOWEST) / HERTZ_A_SECOND)


class Clock:
    """The backbone; see the module."""

    name = "clock"
    visual_dim = audio_dim = 2
    frames_per_window = 8
    sample_rate = RATE
    default_labels = "demo"
    text = TextRules("{label}", "{label}")

    def prepare_frames(self, frames: Tensor) -> Tensor:
        return seen(frames)

    def prepare_audio(self, waves: Any, random: Any = None) -> Tensor:
        return torch.tensor([[heard(wave)] for wave in waves])

    def encode_frames(self, frames: Tensor) -> Tensor:
        return torch.cat([frames, torch.ones_like(frames)], dim=1).float()

    encode_audio = encode_frames

    def encode_visual_text(self, sentences: Any) -> Tensor:
        return torch.ones(len(sentences), 2)

    encode_audio_text = encode_visual_text

    def attributes(self) -> dict[str, Any]:
        return {"clock": {"version": 1}}


def load(checkpoint: Any, device: Any, precision: Any) -> Clock:
    return Clock()


load.info = BackboneInfo(2, 2, about="what time it is")  # type: ignore[attr-defined]


def installed(folder: Path) -> dict[str, str]:
    """Variables under which the command finds the backbone `clock`; ``folder`` gets what says where it is."""
    facts = folder / "av2a_clock-1.0.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: av2a-clock\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[av2a.backbones]\nclock = tests.clock:load\n")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(Path(__file__).parent.parent)])}


class Times:
    """What a cache of the clock's says of a clip: when its segments' images, and the middles of windows, were."""

    def __init__(self, cache: FeatureCache) -> None:
        """Read it."""
        self.cache = cache
        rows = np.flatnonzero(cache.status() == 1).tolist()
        found = cache.read(rows)
        self._place = {cache.clip_ids[row]: number for number, row in enumerate(rows)}
        self._images, self._windows = found.image[..., 0], found.audio[..., 0]

    def __contains__(self, clip: str) -> bool:
        """Whether the clip is done."""
        return clip in self._place

    def images(self, clip: str) -> NDArray[Any]:
        """(10,): the time each segment's image shows."""
        return np.asarray(self._images[self._place[clip]])

    def sounds(self, clip: str) -> NDArray[Any]:
        """(9,): the time heard in the middle of windows of two segments, which is at seconds 1, 2, … 9 of the clip."""
        from feature_cache import windows

        pairs = [row for row, (start, end) in enumerate(windows(10).tolist()) if row and end - start == 2]
        return np.asarray(self._windows[self._place[clip]][pairs])

"""What the tests of extraction share: some clips, and the call with a random small backbone."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from extract import extract_videos
from extract.backbones.base import Backbone
from extract.media.audio_windows import SoundWindows
from extract.media.clip import ClipMedia
from extract.summary import Summary
from feature_cache import Features
from tests.media import make_video, tone

GOOD = ("birds", "cars", "dogs", "trains", "yaks")


@dataclass(frozen=True)
class Both:
    """A decoded clip that has picture and sound."""

    images: Tensor
    windows: SoundWindows
    image_index: NDArray[np.int64]
    video_index: NDArray[np.int64]
    frame_count: int


def both(media: ClipMedia) -> Both:
    assert media.images is not None
    assert media.windows is not None
    return Both(media.images, media.windows, media.image_index, media.video_index, media.frame_count)


def make_videos(folder: Path) -> Path:
    """Five clips with a labels.txt."""
    for number, name in enumerate(GOOD):
        ending = "mkv" if name == "cars" else "mp4"
        make_video(
            folder / f"{name}.{ending}", frames=20 + 10 * number, fps=2 + number,
            sound=tone(10, 16_000, 1, 300 * (number + 1)), size=(64, 48 + 16 * number),
        )  # fmt: skip
    (folder / "labels.txt").write_text("Dog\nTrain horn\nYak\n")
    return folder


def make_odd_clips(folder: Path) -> Path:
    """Ten seconds in stereo at 22,050 Hz, a picture without sound, a sound without picture: a, b and c."""
    make_video(folder / "a.mp4", frames=120, fps=12, rate=22_050, sound=tone(10, 22_050, 2), size=(72, 64))
    make_video(folder / "b.mp4", frames=30, fps=3, with_sound=False, size=(64, 90))
    make_video(folder / "c.mkv", sound=tone(9.7, 16_000, 1, 300), pictures=False)
    return folder


def extract(source: Path, output: Path, checkpoint: Path, **options: Any) -> Summary:
    options = {"backbone": "clip_clap", "device": "cpu", "shard_size": 3, **options}
    return extract_videos(source, output, checkpoint=checkpoint, **options)


def assert_equal(first: Features, second: Features) -> None:
    for name in ("image", "video", "audio", "audio_segments"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


def heard(backbone: Backbone, waves: Sequence[Tensor]) -> Tensor:
    """Sound all the way through a backbone."""
    return backbone.encode_audio(backbone.prepare_audio(waves))

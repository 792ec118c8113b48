"""Made clips to extract: 10 s, 30 frames a second, H.264 and AAC, with a picture that moves and is noisy."""

import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

FPS, SECONDS, RATE = 30, 10, 44_100
SIZES = ((320, 240), (1280, 720))


def made_clips(size: tuple[int, int], count: int) -> list[Path]:
    """Files of one size, made when they are first asked for and kept in the system's folder for such."""
    folder = Path(tempfile.gettempdir()) / "av2a-benchmark" / f"{size[0]}x{size[1]}"
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{number:03d}.mp4" for number in range(count)]
    for number, file in enumerate(files):
        if not file.exists():
            half = file.with_suffix(".part.mp4")
            _make(half, size, np.random.default_rng(number))
            half.rename(file)
    return files


def _make(path: Path, size: tuple[int, int], rng: np.random.Generator) -> None:
    width, height = size
    wide = _texture(rng, 2 * width, 2 * height)
    noise = rng.integers(-6, 7, (8, height, width, 1), dtype=np.int16)
    drift = rng.uniform(0.2, 1.0, 2) * (width / FPS / SECONDS, height / FPS / SECONDS)
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("libx264", rate=FPS, options={"preset": "veryfast", "crf": "23"})
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        audio: Any = container.add_stream("aac", rate=RATE, layout="stereo")
        for number in range(FPS * SECONDS):
            x, y = (int(step * number) for step in drift)
            seen = wide[y : y + height, x : x + width] + noise[number % 8]
            frame = av.VideoFrame.from_ndarray(np.clip(seen, 0, 255).astype(np.uint8), format="rgb24")
            for packet in video.encode(frame.reformat(format="yuv420p")):
                container.mux(packet)
        for packet in video.encode(None):
            container.mux(packet)
        sound = _sound(rng)
        for start in range(0, sound.shape[1] - 1023, 1024):
            piece = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(sound[:, start : start + 1024]), format="fltp", layout="stereo"
            )
            piece.sample_rate, piece.pts, piece.time_base = RATE, start, Fraction(1, RATE)
            for packet in audio.encode(piece):
                container.mux(packet)
        for packet in audio.encode(None):
            container.mux(packet)


def _texture(rng: np.random.Generator, width: int, height: int) -> NDArray[np.int16]:
    """Waves of several lengths and colours, (height, width, 3)."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    found = np.full((height, width, 3), 128, dtype=np.float32)
    for _ in range(8):
        fx, fy, phase = rng.uniform(0.005, 0.15, 3) * (1, 1, 40)
        found += rng.uniform(5, 20, 3) * np.sin(fx * x + fy * y + phase)[..., None]
    return found.astype(np.int16)


def _sound(rng: np.random.Generator) -> NDArray[np.float32]:
    time = np.arange(RATE * SECONDS) / RATE
    tones = sum(0.1 * np.sin(2 * np.pi * pitch * time) for pitch in rng.uniform(100, 4000, 4))
    found: NDArray[np.float32] = (tones + 0.05 * rng.standard_normal((2, len(time)))).astype(np.float32)
    return found

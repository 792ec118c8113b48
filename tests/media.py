"""Small real media files, made with PyAV."""

import wave
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray


def picture(number: int, width: int, height: int) -> NDArray[np.uint8]:
    """A frame that tells its number: a grey of that level over a texture that moves."""
    y, x = np.mgrid[:height, :width]
    base = 40 + number % 160
    texture = 30 * np.sin((x + 3 * number) / 7) * np.cos(y / 5)
    grey = np.clip(base + texture, 0, 255)
    return np.stack([grey, 255 - grey, (x * 255 / width + number) % 256], axis=-1).astype(np.uint8)


def tone(seconds: float, rate: int, channels: int = 1, pitch: float = 440.0) -> NDArray[np.float32]:
    """(channels, samples): a tone that grows louder, each channel an octave above the one before."""
    time = np.arange(int(seconds * rate)) / rate
    rows = [0.3 * (0.2 + time / 12) * np.sin(2 * np.pi * pitch * 2**c * time) for c in range(channels)]
    return np.array(rows, dtype=np.float32)


def make_video(
    path: Path,
    *,
    frames: int = 50,
    fps: int | Fraction = 5,
    size: tuple[int, int] = (64, 48),
    codec: str = "libx264",
    sound: NDArray[np.float32] | None = None,
    rate: int = 16_000,
    audio_codec: str = "aac",
    pictures: bool = True,
    with_sound: bool = True,
    options: dict[str, str] | None = None,
    gop: int | None = None,
    pixels: str = "yuv420p",
    layout: str | None = None,
    times: Sequence[float] | None = None,
    sound_at: float = 0.0,
    rotation: int = 0,
    aspect: Fraction | None = None,
    sound_first: bool = False,
    paint: Callable[[int, int, int], NDArray[np.uint8]] = picture,
    bit_rate: int | None = None,
    codec_options: dict[str, str] | None = None,
    matrix: Sequence[int] | None = None,
) -> Path:
    """A clip of 10 s unless told otherwise; its format follows the file's ending.

    Frames are at a constant rate, or at ``times`` in seconds; sound begins at ``sound_at``. With ``sound_first``
    its track is the file's first.
    """
    if sound is None:
        sound = tone(float(frames / fps), rate)
    with av.open(str(path), "w", options=options or {}) as container:
        video: Any = None
        audio: Any = None
        if with_sound and sound_first:
            audio = container.add_stream(audio_codec, rate=rate)
        if pictures:
            video = container.add_stream(codec, rate=fps)
            video.width, video.height = size
            video.pix_fmt = pixels
            video.codec_context.thread_count = 1
            video.options = codec_options or {}
            if bit_rate is not None:
                video.bit_rate = bit_rate
            if matrix is not None:
                video.set_display_matrix(matrix)
            if gop is not None:
                video.codec_context.gop_size = gop
            if times is not None:
                video.codec_context.time_base = Fraction(1, 1000)
            if aspect is not None:
                video.codec_context.sample_aspect_ratio = aspect
            if rotation:
                video.set_display_rotation(rotation)
        if with_sound:
            audio = audio or container.add_stream(audio_codec, rate=rate)
            audio.layout = layout or {1: "mono", 2: "stereo"}[len(sound)]
            if bit_rate is not None and not pictures:
                audio.bit_rate = bit_rate
        if video is not None:
            for number in range(frames):
                frame = av.VideoFrame.from_ndarray(paint(number, *size), format="rgb24")
                frame = frame.reformat(format=pixels)
                if times is not None:
                    frame.pts, frame.time_base = round(times[number] * 1000), Fraction(1, 1000)
                for packet in video.encode(frame):
                    container.mux(packet)
            for packet in video.encode(None):
                container.mux(packet)
        if audio is not None:
            data, begin = sound.shape[1] // 1024 * 1024, round(sound_at * rate)
            for start in range(0, data, 1024):
                block = np.ascontiguousarray(sound[:, start : start + 1024])
                piece = av.AudioFrame.from_ndarray(block.T.reshape(1, -1), format="flt", layout=audio.layout.name)
                piece.sample_rate, piece.pts, piece.time_base = rate, begin + start, Fraction(1, rate)
                for packet in audio.encode(piece):
                    container.mux(packet)
            for packet in audio.encode(None):
                container.mux(packet)
    return path


def make_wav(path: Path, sound: NDArray[np.float32], rate: int, bits: int = 16) -> Path:
    """A PCM file of (channels, samples) in -1…1."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(sound))
        file.setsampwidth(bits // 8)
        file.setframerate(rate)
        scaled = np.round(sound.T.astype(np.float64) * (2 ** (bits - 1) - 1))
        if bits == 8:
            file.writeframes((scaled + 128).astype(np.uint8).tobytes())
        elif bits == 24:
            whole = scaled.astype("<i4").tobytes()
            file.writeframes(b"".join(whole[at : at + 3] for at in range(0, len(whole), 4)))
        else:
            file.writeframes(scaled.astype(f"<i{bits // 8}").tobytes())
    return path

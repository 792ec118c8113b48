"""Writing a clip's pictures and sound as an mp4 file: H.264 and AAC, as phones and websites make them."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import IO

import av
import numpy as np
import numpy.typing as npt

from extract.demo.synth import RATE, Wave

_SAME_EVERYWHERE = {"threads": "1", "x264-params": "cpu-independent=1"}  # else equal frames give other bytes


def write_mp4(
    target: Path | IO[bytes], frames: Iterable[npt.NDArray[np.uint8]], fps: int, wave: Wave, size: tuple[int, int]
) -> None:
    """Write uint8 RGB frames (height, width, 3) and mono sound (float32, 32 kHz) to `target`, a path or an open file.

    Equal input gives equal files. `size` is (width, height), both even.
    """
    options = {"crf": "26", "preset": "veryfast", "g": str(5 * fps), **_SAME_EVERYWHERE}
    with av.open(target, "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        video = container.add_stream("libx264", rate=fps, options=options)
        video.width, video.height, video.pix_fmt = size[0], size[1], "yuv420p"
        audio = container.add_stream("aac", rate=RATE, layout="mono", options={"b": "64k"})
        for pixels in frames:
            container.mux(video.encode(av.VideoFrame.from_ndarray(_to_yuv420(pixels), format="yuv420p")))
        container.mux(video.encode())
        block = audio.codec_context.frame_size or 1024
        for start in range(0, len(wave), block):
            piece = av.AudioFrame.from_ndarray(wave[None, start : start + block], format="fltp", layout="mono")
            piece.sample_rate, piece.pts, piece.time_base = RATE, start, Fraction(1, RATE)
            container.mux(audio.encode(piece))
        container.mux(audio.encode())


_RGB_TO_YUV = np.array(
    [[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]], dtype=np.float32
) / np.float32(255)


def _to_yuv420(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """uint8 RGB (H, W, 3) to the planes of yuv420p one under another, uint8 (3·H/2, W), by BT.601.

    FFmpeg's own conversion takes other roundings where buffers happen to lie otherwise in memory.
    """
    height, width = pixels.shape[:2]
    yuv = pixels.astype(np.float32) @ _RGB_TO_YUV.T
    halves = yuv[..., 1:].reshape(height // 2, 2, width // 2, 2, 2).mean(axis=(1, 3)) + np.float32(128)
    planes = [yuv[..., 0] + np.float32(16), halves[..., 0].reshape(-1, width), halves[..., 1].reshape(-1, width)]
    stacked: npt.NDArray[np.uint8] = np.clip(np.rint(np.concatenate(planes)), 0, 255).astype(np.uint8)
    return stacked

"""Odd but whole files, as cameras, recorders, converters and pipes leave them; each shows and sounds its own time."""

import io
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from tests.clock import RATE, chirp, painted
from tests.media import make_video, make_wav

FPS = 5


def clip(path: Path, seconds: float = 10, start: float = 0.0, **options: Any) -> Path:
    """A video whose picture and sound tell the time from ``start`` on."""
    rate = options.get("rate", RATE)
    sound = chirp(seconds, rate, start)
    channels = options.pop("channels", 1)
    given: dict[str, Any] = {"frames": round(seconds * FPS), "fps": FPS, "size": (64, 64), "gop": 10, "options": {}}
    given |= {"paint": painted(FPS, start), "sound": np.repeat(sound, channels, axis=0), **options}
    return make_video(path, **given)


def sound_alone(path: Path, seconds: float = 10, start: float = 0.0, **options: Any) -> Path:
    """Its sound, in the format of the path's ending."""
    return clip(path, seconds, start, pictures=False, **options)


def joined(path: Path, parts: Iterable[Path]) -> Path:
    """Files one behind the other; the parts are removed."""
    found = list(parts)
    path.write_bytes(b"".join(part.read_bytes() for part in found))
    for part in found:
        part.unlink()
    return path


def remuxed(
    source: Path,
    target: Path,
    change: Callable[[Any, float], bool] = lambda packet, at: True,
    later: float = 0.0,
    options: dict[str, str] | None = None,
) -> Path:
    """The same packets in another file, but for those of which ``change`` says False; ``later`` by some seconds."""
    with av.open(str(source)) as before, av.open(str(target), "w", options=options or {}) as after:
        streams = {stream.index: after.add_stream_from_template(stream) for stream in before.streams}
        for packet in before.demux():
            if packet.dts is None or packet.pts is None or packet.time_base is None:
                assert not packet.size  # the last, empty one
                continue
            if not change(packet, float(packet.pts * packet.time_base)):
                continue
            ticks = round(later / packet.time_base)
            packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
            packet.stream = streams[packet.stream_index]
            after.mux(packet)
    return target


class _Pipe(io.RawIOBase):
    """Bytes that are written in order and never gone back to."""

    def __init__(self) -> None:
        super().__init__()
        self.content = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.content += data
        return len(data)


def piped(source: Path, target: Path, form: str) -> Path:
    """The same packets as a program writes them to a pipe: lengths are not known when the header is written."""
    pipe = _Pipe()
    with av.open(str(source)) as before, av.open(pipe, "w", format=form) as after:
        streams = {stream.index: after.add_stream_from_template(stream) for stream in before.streams}
        for packet in before.demux():
            if packet.size:
                assert packet.dts is not None
                packet.stream = streams[packet.stream_index]
                after.mux(packet)
    target.write_bytes(pipe.content)
    return target


def avi_of_unknown_length(path: Path) -> Path:
    """As programs write it to a pipe: sizes and lengths as large as can be."""
    clip(path, codec="mpeg4", audio_codec="mp3")
    content = bytearray(path.read_bytes())
    content[4:8] = b"\xff" * 4
    at = content.find(b"strh")
    while at >= 0:
        content[at + 40 : at + 44] = (1 << 30).to_bytes(4, "little")
        at = content.find(b"strh", at + 4)
    path.write_bytes(content)
    return path


# --- A: lengths that nobody declared ---------------------------------------------------------------------


def soft_then_loud(path: Path) -> Path:
    """A bare stream whose first half takes few bits: FFmpeg guesses its length from them."""
    quiet = chirp(10)
    quiet[:, : 5 * RATE] *= np.float32(0.02)
    quiet[:, 5 * RATE :] += np.random.default_rng(1).normal(0, 0.05, (1, 5 * RATE)).astype(np.float32)
    return make_video(path, pictures=False, sound=quiet, audio_codec="aac")


def two_bit_rates(path: Path) -> Path:
    """An MP3 without a header that counts its frames, the second half in four times the bits."""
    parts = []
    for number, bits in enumerate((24_000, 96_000)):
        part = path.with_name(f"{path.stem}{number}.part.mp3")
        parts.append(
            sound_alone(part, 5, 5 * number, audio_codec="mp3", bit_rate=bits, options={"write_xing": "0"}, channels=1)
        )
    return joined(path, parts)


def wav_of_unknown_length(path: Path, size: int) -> Path:
    make_wav(path, chirp(10), RATE)
    content = bytearray(path.read_bytes())
    content[4:8] = min(size + 36, 0xFFFFFFFF).to_bytes(4, "little") if size else bytes(4)
    content[40:44] = size.to_bytes(4, "little")
    path.write_bytes(content)
    return path


def with_bytes_behind(path: Path, more: bytes) -> Path:
    clip(path)
    path.write_bytes(path.read_bytes() + more)
    return path


def with_long_subtitles(path: Path) -> Path:
    """One line of text that is shown until second 40."""
    plain = clip(path.with_name(f"{path.stem}.part.mp4"))
    with av.open(str(plain)) as before, av.open(str(path), "w") as after:
        streams = {stream.index: after.add_stream_from_template(stream) for stream in before.streams}
        words: Any = after.add_stream("subrip")
        words.codec_context.subtitle_header = b""
        said = False
        for packet in before.demux():
            if packet.dts is None:
                continue
            if not said and packet.pts:
                line = av.Packet(b"hello")
                line.stream, line.time_base = words, Fraction(1, 1000)
                line.pts = line.dts = 500
                line.duration = 39_500
                after.mux(line)
                said = True
            packet.stream = streams[packet.stream_index]
            after.mux(packet)
    plain.unlink()
    return path


def with_an_empty_edit(path: Path) -> Path:
    """Its edit list begins with two seconds of nothing; eight of content follow."""
    plain = clip(path.with_name(f"{path.stem}.part.mp4"), 8)
    remuxed(plain, path, later=2.0)
    plain.unlink()
    return path


# --- B to F ----------------------------------------------------------------------------------------------


def without(path: Path, lost: Callable[[float], bool], seconds: float = 10, audio_codec: str = "aac") -> Path:
    """Packets of sound are missing."""
    plain = clip(path.with_name(f"{path.stem}.part.mp4"), seconds, audio_codec=audio_codec)
    remuxed(plain, path, lambda packet, at: packet.stream.type != "audio" or not lost(at))
    plain.unlink()
    return path


def with_hidden_frames(path: Path) -> Path:
    """VP8 with packets that hold a frame to predict from, and none to be shown."""
    return clip(
        path, codec="libvpx", audio_codec="libopus", rate=48_000,
        codec_options={"auto-alt-ref": "1", "lag-in-frames": "16", "arnr-maxframes": "7"}, bit_rate=200_000,
    )  # fmt: skip


def changing(path: Path, first: dict[str, Any], second: dict[str, Any]) -> Path:
    """Five seconds of one kind of sound, then five of another."""
    names = [path.with_name(f"{path.stem}{number}.part{path.suffix}") for number in range(2)]
    return joined(path, [sound_alone(names[0], 5, 0, **first), sound_alone(names[1], 5, 5, **second)])


def beginning_again(path: Path, later: float = 0.0, **options: Any) -> Path:
    """Two recordings of ten seconds; the second one's clock starts again, or is ``later``."""
    first = clip(path.with_name(f"{path.stem}0.part{path.suffix}"), **options)
    second = clip(path.with_name(f"{path.stem}1.part{path.suffix}"), start=10, **options)
    if later:
        moved = path.with_name(f"{path.stem}2.part{path.suffix}")
        second = remuxed(second, moved, later=later)
        path.with_name(f"{path.stem}1.part{path.suffix}").unlink()
    return joined(path, [first, second])


def cut_without_encoding(path: Path) -> Path:
    """Ten seconds from second 3.4 of a film on: the packets from the key frame before it, which an edit list hides."""
    film = clip(path.with_name(f"{path.stem}.part.mp4"), 13.4, codec="libx264", gop=15)
    remuxed(
        film, path, lambda packet, at: at >= (3.0 if packet.stream.type == "video" else 3.4) - 1e-6, later=-3.4,
        options={"avoid_negative_ts": "disabled"},
    )  # fmt: skip
    film.unlink()
    return path


def mirrored(frame: NDArray[np.uint8], matrix: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """The picture to store, so that a display matrix (a, b, c, d) shows ``frame``."""
    a, b, c, d = matrix
    shown = frame
    shown = shown[:: -1 if (b or d) < 0 else 1, :: -1 if (a or c) < 0 else 1]
    return np.ascontiguousarray(shown.transpose(1, 0, 2) if b else shown)

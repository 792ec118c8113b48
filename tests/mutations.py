"""Media files as strangers' disks and networks leave them: equal seeds give equal files."""

import random
import struct
from collections.abc import Callable
from pathlib import Path

from tests.media import make_video, make_wav, tone

NUMBERS = (0, 1, 7, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
BOXES = (
    b"moov",
    b"trak",
    b"mdhd",
    b"mvhd",
    b"tkhd",
    b"stsd",
    b"stts",
    b"stsz",
    b"stco",
    b"stsc",
    b"elst",
    b"ctts",
    b"mdat",
)


def base_files(folder: Path) -> list[Path]:
    """Small whole files of several kinds, 10 s each; most are MP4 and WAV."""
    folder.mkdir()
    sound = tone(10, 16_000)
    return [
        make_video(folder / "plain.mp4"),
        make_video(folder / "front.mp4", options={"movflags": "faststart"}, size=(48, 64)),
        make_video(folder / "stereo.mp4", sound=tone(10, 22_050, 2), rate=22_050, frames=100, fps=10),
        make_video(folder / "silent.mp4", with_sound=False),
        make_video(folder / "pieces.mp4", options={"movflags": "frag_keyframe+empty_moov"}, gop=10),
        make_wav(folder / "mono.wav", sound, 16_000),
        make_wav(folder / "fine.wav", tone(10, 8_000, 2), 8_000, 24),
        make_video(folder / "open.mkv"),
        make_video(folder / "old.avi", codec="mpeg4", audio_codec="mp3"),
        make_video(folder / "moving.mov", codec="mpeg4", audio_codec="pcm_s16le"),
    ]


def mutated(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """A file with something wrong; ``other`` is a file whose header or content may get into it."""
    found = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2))):
        found = rng.choice(_WAYS)(found, other, rng)
    return bytes(found)


def _flip(data: bytearray, other: bytes, rng: random.Random) -> bytearray:
    for _ in range(rng.choice((1, 10, 100, 1000))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return data


def _flip_head(data: bytearray, other: bytes, rng: random.Random) -> bytearray:
    for _ in range(rng.choice((1, 5, 30))):
        data[rng.randrange(min(len(data), 1500))] = rng.randrange(256)
    return data


def _flip_end(data: bytearray, other: bytes, rng: random.Random) -> bytearray:
    """Where an MP4 has its index."""
    for _ in range(rng.choice((1, 5, 30))):
        data[len(data) - 1 - rng.randrange(min(len(data), 2500))] = rng.randrange(256)
    return data


def _truncate(data: bytearray, other: bytes, rng: random.Random) -> bytearray:
    return data[: rng.randrange(1, len(data))]


def _behead(data: bytearray, other: bytes, rng: random.Random) -> bytearray:
    return data[rng.randrange(1, len(data)) :]


def _swap_heads(data: bytearray, other: bytes, rng: random.Random) -> bytearray:
    size = rng.choice((12, 44, 300, 4000))
    data[:size] = other[:size]
    return data


def _transplant(data: bytearray, other: bytes, rng: random.Random) -> bytearray:
    size = rng.randrange(1, min(len(other), 5000))
    begin, at = rng.randrange(len(other) - size + 1), rng.randrange(len(data))
    data[at : at + size] = other[begin : begin + size]
    return data


def _silence(data: bytearray, other: bytes, rng: random.Random) -> bytearray:
    at, size = rng.randrange(len(data)), rng.choice((64, 1000, 20_000))
    data[at : at + size] = bytes(len(data[at : at + size]))
    return data


def _insert(data: bytearray, other: bytes, rng: random.Random) -> bytearray:
    at = rng.randrange(len(data))
    data[at:at] = rng.randbytes(rng.choice((1, 16, 3000)))
    return data


def _number(data: bytearray, other: bytes, rng: random.Random) -> bytearray:
    """Some field, at any place, says something absurd."""
    for _ in range(rng.choice((1, 4, 20))):
        at = rng.randrange(max(1, min(len(data) - 4, rng.choice((200, 3000, len(data))))))
        data[at : at + 4] = struct.pack(rng.choice("<>") + "I", rng.choice(NUMBERS))
    return data


def _box(data: bytearray, other: bytes, rng: random.Random) -> bytearray:
    """A field of one of an MP4's boxes says something absurd: its size, a length, a rate, a number of entries."""
    there = [at for name in BOXES if (at := data.find(name)) > 4]
    if not there:
        return _number(data, other, rng)
    at = rng.choice(there) + rng.choice((-4, 4, 8, 12, 16, 20, 24, 28, 32))
    data[at : at + 4] = struct.pack(">I", rng.choice(NUMBERS))
    return data


_WAYS: tuple[Callable[[bytearray, bytes, random.Random], bytearray], ...] = (
    _flip, _flip, _flip_head, _flip_end, _truncate, _truncate, _behead, _swap_heads, _transplant, _silence, _insert,
    _number, _box, _box,
)  # fmt: skip

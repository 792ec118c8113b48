"""What one file may cost: time, pixels, samples. Files come from strangers."""

import time
from pathlib import Path

from extract.errors import MediaError

MOST_PIXELS = 8192 * 8192
MOST_VALUES = 1 << 27
LOWEST_RATE, HIGHEST_RATE = 1000, 768_000


class TimeLimit:
    """A limit on the seconds that one clip's decoding may take."""

    def __init__(self, path: Path, seconds: float | None) -> None:
        """Begin now; None: no limit."""
        self._path, self.seconds = path, seconds
        self._end = float("inf") if seconds is None else time.monotonic() + seconds

    def check(self) -> None:
        """Raise if the time is over.

        Raises:
            MediaError: it is.
        """
        if time.monotonic() > self._end:
            raise MediaError(
                self._path, f"it is not decoded after {self.seconds:.0f} s; get it again, or give more `clip_timeout`"
            )


def default_timeout(clip_seconds: float) -> float:
    """Seconds that the decoding of one clip may take unless told otherwise."""
    return 120 + 20 * clip_seconds


def check_picture(path: Path, width: int, height: int) -> None:
    """Refuse pictures that would fill the memory.

    Raises:
        MediaError: more than 8192x8192 pixels.
    """
    if width * height > MOST_PIXELS:
        raise MediaError(path, f"its picture is {width}x{height}, more than 8192x8192 pixels; scale it down")


def check_sound(path: Path, rate: int, values: int, seconds: float, most_seconds: float) -> None:
    """Refuse sound that would fill the memory.

    Args:
        path: the file.
        rate: samples a second.
        values: samples of all channels that are kept, so far.
        seconds: its length so far.
        most_seconds: how long it may be.

    Raises:
        MediaError: the rate is none of sound, or there is too much of it.
    """
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise MediaError(
            path, f"its sound has {rate} samples a second, not {LOWEST_RATE} to {HIGHEST_RATE}; convert it"
        )
    if seconds > most_seconds or values > MOST_VALUES:
        raise MediaError(path, f"its sound goes on for over {seconds:.0f} s, far longer than the clip; cut it")

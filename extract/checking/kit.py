"""What a backbone is checked with: clips of one thing that is seen and one that is heard, and labels beside theirs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import repeat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from extract.backbones import describe_backbone
from extract.demo.media import write_mp4
from extract.demo.synth import RATE, Wave
from extract.errors import ExtractError

SECONDS = 10
_FPS = 10
_USUAL = "extract.checking.photographs:kit"


@dataclass(frozen=True)
class CheckClip:
    """One clip: a picture that stands still, and a sound.

    Attributes:
        seen: the right label of the picture.
        heard: that of the sound.
        picture: gives uint8 RGB (H, W, 3), H and W even.
        sound: gives float32 (samples,), mono in -1…1, 32 kHz; of :data:`SECONDS`.
    """

    seen: str
    heard: str
    picture: Callable[[], NDArray[np.uint8]]
    sound: Callable[[], Wave]

    def write(self, path: Path) -> None:
        """Write the clip as mp4."""
        picture = self.picture()
        height, width = picture.shape[:2]
        with path.open("wb") as file:
            write_mp4(file, repeat(picture, SECONDS * _FPS), _FPS, self.sound()[: SECONDS * RATE], (width, height))


@dataclass(frozen=True)
class Kit:
    """Clips, and the labels among which the right ones have to win.

    Attributes:
        clips: at least one.
        seen: labels that pictures are compared with, the clips' own among them.
        heard: those for sound.
    """

    clips: Sequence[CheckClip]
    seen: Sequence[str]
    heard: Sequence[str]

    @property
    def labels(self) -> list[str]:
        """All labels, each once."""
        return list(dict.fromkeys((*self.seen, *self.heard)))


def kit_of(name: str) -> Kit:
    """What a backbone is checked with: its own kit, or photographs and sounds that anybody's encoders know.

    Raises:
        ExtractError: no such backbone, or a kit of somebody else's that cannot be made.
    """
    home = describe_backbone(name).check or _USUAL
    module, _, function = home.partition(":")
    try:
        kit = getattr(import_module(module), function)()
    except Exception as error:  # of another package, perhaps
        raise ExtractError(f"backbone {name!r}: what it is checked with, {home}, cannot be made: {error}") from error
    if not isinstance(kit, Kit):
        raise ExtractError(f"backbone {name!r}: what it is checked with, {home}, gives no extract.checking.kit.Kit")
    return kit

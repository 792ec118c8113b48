"""Making one clip from its script."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from extract.demo.media import write_mp4
from extract.demo.scene import Scene
from extract.demo.script import SECONDS, Script
from extract.demo.soundtrack import soundtrack
from extract.demo.synth import Wave
from extract.demo.things import BY_LABEL
from feature_cache.storage.atomic import whole_file

FPS = 10
SIZE = (160, 120)
"""Width and height in px."""


def clip_frames(script: Script, size: tuple[int, int] = SIZE) -> Iterator[npt.NDArray[np.uint8]]:
    """The clip's pictures, uint8 RGB (height, width, 3), `FPS` a second."""
    rng = np.random.default_rng((*script.entropy, 1))
    shown = [happening for happening in script.happenings if happening.seen]
    scene = Scene(rng, [BY_LABEL[happening.label] for happening in shown], size)
    for number in range(SECONDS * FPS):
        second = number // FPS
        seen = {h.label for h in shown if any(onset <= second < offset for onset, offset in h.seen)}
        yield scene.frame(rng, number / FPS, seen)


def clip_sound(script: Script) -> Wave:
    """The clip's sound, float32 mono at 32 kHz."""
    rng = np.random.default_rng((*script.entropy, 2))
    heard = [(BY_LABEL[happening.label], happening.heard) for happening in script.happenings if happening.heard]
    return soundtrack(rng, heard, SECONDS)


def make_clip(script: Script, path: Path, size: tuple[int, int] = SIZE) -> None:
    """Render the script and write it to `path` (mp4), whole or not at all."""
    with whole_file(path) as partial:
        write_mp4(partial, clip_frames(script, size), FPS, clip_sound(script), size)

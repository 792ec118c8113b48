"""Pictures to train on: frames of made scenes, through the real video codec and the real preprocessing."""

import io
from collections.abc import Iterator
from dataclasses import dataclass

import av
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from extract.backbones.pixels import fit_frames
from extract.demo.clips import SIZE
from extract.demo.media import write_mp4
from extract.demo.scene import Scene
from extract.demo.synth import Wave
from extract.demo.things import THINGS
from extract.demo.training.seeds import training_rng

IMAGE_SIZE = 64
_FRAMES_A_SCENE = 3
_SCENES_A_FILE = 40
_THINGS_SEEN = (0.15, 0.35, 0.3, 0.2)
"""How often 0, 1, 2 and 3 things are placed in a scene; each is then seen in a frame 4 times in 5."""


@dataclass(frozen=True)
class Pictures:
    """pixels: uint8 (n, 3, 64, 64); seen: bool (n, number of THINGS)."""

    pixels: Tensor
    seen: Tensor


def make_pictures(seed: int, part: int, count: int) -> Pictures:
    """About `count` pictures (rounded up to whole files); `part` keeps training and checking apart."""
    pixels, seen = [], []
    for number in range(-(-count // (_FRAMES_A_SCENE * _SCENES_A_FILE))):
        rng = training_rng(seed, 1, part, number)
        truth: list[npt.NDArray[np.bool_]] = []
        frames = list(_frames(rng, truth))
        pixels.append(fit_frames(_through_codec(frames), IMAGE_SIZE))
        seen.append(torch.from_numpy(np.stack(truth)))
    return Pictures(torch.cat(pixels), torch.cat(seen))


def _frames(rng: np.random.Generator, truth: list[npt.NDArray[np.bool_]]) -> Iterator[npt.NDArray[np.uint8]]:
    """Frames of random scenes, some things of the scene seen in each; their labels are added to `truth`."""
    for _ in range(_SCENES_A_FILE):
        placed = rng.permutation(len(THINGS))[: rng.choice(4, p=_THINGS_SEEN)]
        scene = Scene(rng, [THINGS[index] for index in placed], SIZE)
        for _ in range(_FRAMES_A_SCENE):
            shown = [int(index) for index in placed if rng.random() < 0.8]
            flags = np.zeros(len(THINGS), dtype=np.bool_)
            flags[shown] = True
            truth.append(flags)
            yield scene.frame(rng, float(rng.uniform(0, 10)), {THINGS[index].label for index in shown})


def _through_codec(frames: list[npt.NDArray[np.uint8]]) -> Tensor:
    """The frames after H.264, uint8 (n, 3, H, W)."""
    file = io.BytesIO()
    silence: Wave = np.zeros(1024, dtype=np.float32)
    write_mp4(file, frames, 10, silence, SIZE)
    file.seek(0)
    with av.open(file, "r") as container:
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(decoded) == len(frames)
    return torch.from_numpy(np.stack(decoded)).permute(0, 3, 1, 2)


def vary(rng: torch.Generator, pixels: Tensor) -> Tensor:
    """A batch with each picture mirrored or not, moved by up to 4 px, and of other brightness and contrast."""
    n, side = len(pixels), pixels.shape[-1]
    wide = torch.nn.functional.pad(pixels.float(), (4, 4, 4, 4), mode="replicate")
    top, left = torch.randint(0, 9, (2, n), generator=rng)
    flip = torch.rand(n, generator=rng) < 0.5
    moved = torch.stack(
        [
            wide[i, :, int(y) : int(y) + side, int(x) : int(x) + side].flip(-1 if mirrored else ())
            for i, (y, x, mirrored) in enumerate(zip(top, left, flip, strict=True))
        ]
    )
    contrast = 0.8 + 0.4 * torch.rand((n, 1, 1, 1), generator=rng)
    brightness = 40 * (torch.rand((n, 3, 1, 1), generator=rng) - 0.5)
    return ((moved - 128) * contrast + 128 + brightness).clamp(0, 255)

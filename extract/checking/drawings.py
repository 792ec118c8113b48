"""The demo's drawings and sounds, for `tiny`, which knows nothing else."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from extract.checking.kit import SECONDS, CheckClip, Kit
from extract.demo.clips import SIZE
from extract.demo.scene import Scene
from extract.demo.soundtrack import soundtrack
from extract.demo.synth import Wave
from extract.demo.things import BY_LABEL, DEMO_LABELS

_SEEN_AND_HEARD = (("Bell", "Siren"), ("Helicopter", "Rain"), ("Fire", "Clock"))


def kit() -> Kit:
    """Three drawings and three sounds, each against the demo's twelve labels."""
    clips = [
        CheckClip(seen, heard, partial(_drawn, seen, seed), partial(_made, heard, seed))
        for seed, (seen, heard) in enumerate(_SEEN_AND_HEARD)
    ]
    return Kit(clips, DEMO_LABELS, DEMO_LABELS)


def _drawn(label: str, seed: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng((seed, 1))
    return Scene(rng, [BY_LABEL[label]], SIZE).frame(rng, 0.0, {label})


def _made(label: str, seed: int) -> Wave:
    return soundtrack(np.random.default_rng((seed, 2)), [(BY_LABEL[label], [(0, SECONDS)])], SECONDS)

"""The `clip_laion_clap` backbone: `clip_clap` with the laion_clap package for sound (docs/design.md 5)."""

from pathlib import Path

import torch

from extract.backbones.clip_clap import clip_tower
from extract.backbones.clip_clap.backbone import ClipClap
from extract.backbones.clip_clap.clip_tower import ClipTower
from extract.backbones.clip_clap.laion_tower import REPOSITORY, WEIGHT_FILE, LaionClapTower, check_package
from extract.backbones.weights import from_hub, no_weights
from extract.errors import ExtractError

NAME = "clip_laion_clap"

_LAYOUT = f"DIR/clip/ ({' or '.join(clip_tower.WEIGHT_FILES)}) and DIR/clap/ (one .pt of laion_clap, as {WEIGHT_FILE})"


def load(
    checkpoint: Path | None, device: torch.device, precision: str, *, clap_checkpoint: Path | None = None
) -> ClipClap:
    """Load from a folder, or the published weights from the hub (or what it left in its cache).

    Args:
        checkpoint: folder with clip/, as for `clip_clap`, and clap/ with one .pt of laion_clap.
        device: where to compute.
        precision: arithmetic, see :mod:`extract.device`.
        clap_checkpoint: a .pt of laion_clap to use instead of the folder's or the hub's.

    Raises:
        ExtractError: the package or weights are missing or damaged; says which, and how to place them.
    """
    check_package()
    sound = clap_checkpoint
    if checkpoint is None:
        clip = from_hub(clip_tower.REPOSITORY, clip_tower.WEIGHT_FILES[:1])
        if clip is None:
            raise no_weights([clip_tower.REPOSITORY], "DIR/clip/ and DIR/clap/")
        clip_origin = f"{clip_tower.REPOSITORY}@{clip.name}"
    else:
        if not (checkpoint / "clip").is_dir():
            raise ExtractError(f"checkpoint folder {checkpoint} has no clip/: it needs {_LAYOUT}")
        clip, clip_origin = checkpoint / "clip", f"{checkpoint.name}/clip"
        sound = sound or _only_file(checkpoint)
    tower = LaionClapTower.from_laion_file(sound, device, precision)
    if clap_checkpoint is not None:
        sound_origin = clap_checkpoint.name
    elif checkpoint is not None:
        sound_origin = f"{checkpoint.name}/clap"
    else:
        sound_origin = f"{REPOSITORY}@{tower.weights.parent.name}"
    return ClipClap(
        ClipTower.from_folder(clip, device, precision, own_config=checkpoint is not None),
        tower,
        name=NAME,
        default_labels="llp",
        origin={"clip": clip_origin, "clap": sound_origin},
    )


def _only_file(checkpoint: Path) -> Path:
    """The .pt file of clap/."""
    files = sorted((checkpoint / "clap").glob("*.pt"))
    if len(files) != 1:
        found = ", ".join(path.name for path in files) or "no .pt"
        raise ExtractError(f"checkpoint folder {checkpoint} has {found} in clap/: it needs {_LAYOUT}")
    return files[0]

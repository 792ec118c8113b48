"""The `tiny` backbone: the classes of `clip_clap` at toy size, trained on the demo's made things only."""

from pathlib import Path

import torch

from extract.backbones.clip_clap.backbone import ClipClap
from extract.errors import ExtractError

WEIGHTS = Path(__file__).with_name("weights")


def load(checkpoint: Path | None, device: torch.device, precision: str) -> ClipClap:
    """Load the packaged weights, or others of the same layout from a folder.

    Raises:
        ExtractError: weights are missing or damaged.
    """
    if checkpoint is None and not WEIGHTS.is_dir():
        raise ExtractError("the packaged weights of `tiny` are missing: install av2a again")
    return ClipClap.from_folder(
        checkpoint or WEIGHTS,
        device,
        precision,
        name="tiny",
        default_labels="demo",
        origin="packaged with av2a" if checkpoint is None else None,
    )

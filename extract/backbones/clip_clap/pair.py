"""`clip_clap` with an image model and a CLAP of choice: any of open_clip's with any that transformers reads."""

from pathlib import Path
from typing import NamedTuple

import torch

from extract.backbones.clip_clap import backbone, clap_tower, clip_tower
from extract.backbones.clip_clap.backbone import ClipClap, PictureTower
from extract.backbones.clip_clap.clap_tower import ClapTower
from extract.backbones.clip_clap.clip_tower import ClipTower
from extract.backbones.clip_clap.image_models import USUAL, find_image_model
from extract.backbones.clip_clap.image_source import LOCAL, ImageSource, find_image_source
from extract.backbones.clip_clap.image_tower import load_image_tower
from extract.backbones.weights import from_hub, no_weights, quiet
from extract.errors import ExtractError
from feature_cache.names import nearest

PUBLISHED = (
    clap_tower.REPOSITORY,
    "laion/clap-htsat-fused",
    "laion/larger_clap_general",
    "laion/larger_clap_music_and_speech",
)
"""Repositories of CLAPs that are known to be read."""


class _Found(NamedTuple):
    """A model's folder or file, what it is called in caches, and where it came from."""

    place: Path
    model: str
    origin: str


def load(
    checkpoint: Path | None,
    device: torch.device,
    precision: str,
    *,
    clap_checkpoint: Path | None = None,
    models: tuple[str, str] = ("", ""),
) -> ClipClap:
    """Load `clip_clap`, with other models than its own where some are chosen.

    Args:
        checkpoint: folder with clip/ and clap/; what is chosen and not there comes from the hub.
        device: where to compute.
        precision: arithmetic, see :mod:`extract.device`.
        clap_checkpoint: a .pt of laion_clap to use for the sound instead.
        models: the image model and the CLAP; an empty name: the usual one.

    Raises:
        ExtractError: an unknown model, or weights are missing, damaged or another model's.
    """
    image, audio = _one_name(models[0]), models[1] or clap_tower.REPOSITORY
    if (image, audio) == (USUAL, clap_tower.REPOSITORY):
        return backbone.load(checkpoint, device, precision, clap_checkpoint=clap_checkpoint)
    if clap_checkpoint is not None and audio != clap_tower.REPOSITORY:
        raise ExtractError("`clap_checkpoint` and `audio_model` both say what hears: give one of them")
    if checkpoint is not None and not any((checkpoint / part).is_dir() for part in ("clip", "clap")):
        raise ExtractError(f"checkpoint folder {checkpoint} has no clip/ and no clap/: weights are looked for there")
    # all is found before anything is loaded
    clips = _part(checkpoint, "clip")
    seen = _usual_clip(clips) if image == USUAL else find_image_source(image, clips)
    if clap_checkpoint is None:
        heard = _clap(audio, _part(checkpoint, "clap"))
    else:
        heard = _Found(clap_checkpoint, audio, clap_checkpoint.name)
    clap = (ClapTower.from_folder if clap_checkpoint is None else ClapTower.from_laion_file)(
        heard.place, device, precision
    )
    return ClipClap(
        _image_tower(seen, device, precision, own_config=clips is not None),
        clap,
        name=f"clip_clap:{seen.model}+{heard.model}",
        default_labels="llp",
        origin={"clip": seen.origin, "clap": heard.origin},
        models={"clip": seen.model, "clap": heard.model},
    )


def _one_name(image: str) -> str:
    """The usual image model by its one name; others as they were given."""
    if not image:
        return USUAL
    if image.partition(":")[0] in ("ViT-B-32", USUAL.partition(":")[0]) and ":" in image:
        with quiet():
            return find_image_model(image)
    return image


def _part(checkpoint: Path | None, part: str) -> Path | None:
    """The folder of a part, where there is one."""
    return None if checkpoint is None or not (checkpoint / part).is_dir() else checkpoint / part


def _image_tower(
    found: _Found | ImageSource, device: torch.device, precision: str, *, own_config: bool
) -> PictureTower:
    if isinstance(found, ImageSource):
        return load_image_tower(found, device, precision)
    return ClipTower.from_folder(found.place, device, precision, own_config=own_config)


def _usual_clip(folder: Path | None) -> _Found:
    """The folder of the usual image model."""
    if folder is not None:
        return _Found(folder, USUAL, _beside(folder))
    found = from_hub(clip_tower.REPOSITORY, clip_tower.WEIGHT_FILES[:1])
    if found is None:
        raise no_weights([clip_tower.REPOSITORY], "DIR/clip/")
    return _Found(found, USUAL, f"{clip_tower.REPOSITORY}@{found.name}")


def _clap(audio: str, folder: Path | None) -> _Found:
    """The folder of a CLAP.

    Raises:
        ExtractError: it is not here, nor to be had.
    """
    if audio.startswith(LOCAL):
        home = Path(audio.removeprefix(LOCAL))
        if not home.is_dir():
            raise ExtractError(f"no folder {home}: name the one with the CLAP, `audio_model='{LOCAL}PATH'`")
        return _Found(home, f"{LOCAL}{home.resolve().name}", home.resolve().name)
    if folder is not None:
        return _Found(folder, audio, _beside(folder))
    found = clap_tower.from_the_hub(audio) if audio.count("/") == 1 else None
    if found is None:
        near = "" if audio in PUBLISHED else ", ".join(nearest(audio, PUBLISHED, 2))
        known = f"nearest: {near}" if near else f"known are {', '.join(PUBLISHED)}"
        if audio in PUBLISHED:
            raise no_weights([audio], "DIR/clap/")
        raise ExtractError(
            f"no CLAP {audio!r} here, nor one of transformers on a model hub that answers ({known}): place its files "
            "in DIR/clap/, `checkpoint='DIR'`"
        )
    return _Found(found, audio, f"{audio}@{found.name}")


def _beside(folder: Path) -> str:
    return f"{folder.parent.name}/{folder.name}"

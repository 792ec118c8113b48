"""What a run would lack, told before it begins: encoders, their packages and weights, files of videos."""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from extract.backbones import backbone_names, describe_backbone, load_backbone
from extract.default_backbone import TOY, USUAL
from extract.errors import ExtractError
from extract.options import ExtractOptions
from extract.run.inputs import find_videos
from extract.run.stamps import Memory
from feature_cache import FeatureCache
from feature_cache.place import is_there


@dataclass(frozen=True)
class Readiness:
    """What there is for a run.

    Attributes:
        backbone: name of the encoders; empty where there are none of that name.
        files: ids of the files of videos, as :attr:`extract.ExtractOptions.only` takes them.
        missing: what is not there, a line each.
    """

    backbone: str
    files: tuple[str, ...]
    missing: tuple[str, ...]


def readiness(
    source: Path,
    output: PathLike[str] | str,
    options: ExtractOptions,
    usual: Sequence[str] = (),
    others_missing: bool = False,
) -> Readiness:
    """Look for what :func:`extract.extract_videos` would need.

    Args:
        source: folder of the videos.
        output: the cache; one that is there says which encoders go on with it, and that their weights were there.
        options: of the run.
        usual: names of encoders to take where none is named, the first that is known.
        others_missing: something else is missing anyway: weights are not fetched from afar.

    Raises:
        CacheError: the cache that is there cannot be read.
    """
    there = FeatureCache.open(output) if is_there(output) else None
    known, missing = backbone_names(), list[str]()
    name = options.encoders or (there.backbone if there is not None else None)
    name = str(name or next((each for each in usual if each in known), USUAL))
    installed = False
    try:
        info = describe_backbone(name)
        installed = info.installed
        if not installed:
            missing.append(f"packages: backbone {name} needs {info.extra}: pip install '{info.extra}'")
    except ExtractError as error:
        missing.append(f"backbone: {error}")
        name = ""
    files: tuple[str, ...] = ()
    memory = Memory()
    if installed and there is not None:
        from extract.run.open_cache import known_files  # imports torch

        memory = Memory.of(there, known_files(there), options.cut.facts)
    try:
        files = tuple(find_videos(source, recursive=options.recursive, memory=memory).files)
    except ExtractError as error:
        missing.append(f"videos: {error}")
    if installed:
        missing += _no_devices(options)
    if installed and there is None:
        missing += _no_weights(name, options, fetch=not missing and not others_missing)
    return Readiness(name, files, tuple(missing))


def _no_devices(options: ExtractOptions) -> list[str]:
    from extract.device import resolve_device  # imports torch

    try:
        for device in options.devices:
            resolve_device(device)
    except ExtractError as error:
        return [f"device: {error}"]
    return []


def _no_weights(name: str, options: ExtractOptions, *, fetch: bool) -> list[str]:
    """Why the encoders' weights cannot be loaded, if they cannot."""
    local = options.checkpoint is not None or options.clap_checkpoint is not None or name == TOY
    if not local and not fetch:
        return []  # nothing is downloaded to say that something else is missing
    try:
        load_backbone(name, options.checkpoint, "cpu", options.precision, options.clap_checkpoint)
    except ExtractError as error:
        return [f"weights: {error}"]
    return []

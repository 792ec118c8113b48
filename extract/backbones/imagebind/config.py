"""Sizes of ImageBind's three encoders: the published ones, or those that a config.json beside the weights names."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from extract.errors import ExtractError

CONFIG_FILE = "config.json"


@dataclass(frozen=True)
class TrunkConfig:
    """Sizes of one transformer.

    Attributes:
        width: of a token.
        inner: width inside the MLP.
        blocks: how many.
        heads: of an attention; no tensor's shape betrays it.
    """

    width: int
    inner: int
    blocks: int
    heads: int


@dataclass(frozen=True)
class VisionConfig(TrunkConfig):
    """The encoder of clips: side of a square frame and of a patch in pixels, frames of a clip, one patch deep."""

    side: int
    patch: int
    frames: int

    @property
    def patches(self) -> int:
        """Patches of a clip."""
        return (self.side // self.patch) ** 2


@dataclass(frozen=True)
class AudioConfig(TrunkConfig):
    """The encoder of spectrograms: mel bands, spectrogram frames, side and stride of the square patches."""

    bands: int
    frames: int
    kernel: int
    stride: int

    @property
    def patches(self) -> int:
        """Patches of a spectrogram."""
        rows, columns = ((side - self.kernel) // self.stride + 1 for side in (self.bands, self.frames))
        return rows * columns


@dataclass(frozen=True)
class TextConfig(TrunkConfig):
    """The encoder of sentences: number of token ids, longest sentence in tokens."""

    vocabulary: int
    positions: int


@dataclass(frozen=True)
class ImageBindConfig:
    """The three encoders and the width of their common space."""

    dim: int
    vision: VisionConfig
    audio: AudioConfig
    text: TextConfig


PUBLISHED = ImageBindConfig(
    dim=1024,
    vision=VisionConfig(width=1280, inner=5120, blocks=32, heads=16, side=224, patch=14, frames=2),
    audio=AudioConfig(width=768, inner=3072, blocks=12, heads=12, bands=128, frames=204, kernel=16, stride=10),
    text=TextConfig(width=1024, inner=4096, blocks=24, heads=16, vocabulary=49408, positions=77),
)
"""Those of imagebind_huge."""


def config_in(folder: Path) -> ImageBindConfig:
    """Sizes of the encoders in a folder: of its config.json, without one the published ones.

    Raises:
        ExtractError: not JSON, or a field is missing or of no use; names file and field.
    """
    path = folder / CONFIG_FILE
    if not path.is_file():
        return PUBLISHED
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ExtractError(f"{path}: cannot be read as JSON ({error})") from error
    vision, audio, text = (_Section(path, name, loaded) for name in ("vision", "audio", "text"))
    found = ImageBindConfig(
        dim=_count(path, "out_dim", loaded.get("out_dim") if isinstance(loaded, Mapping) else None),
        vision=VisionConfig(
            **vision.trunk(), side=vision["image_size"], patch=vision["patch"], frames=vision["frames"]
        ),
        audio=AudioConfig(
            **audio.trunk(), bands=audio["mel_bins"], frames=audio["target_frames"], kernel=audio["kernel"],
            stride=audio["stride"],
        ),
        text=TextConfig(**text.trunk(), vocabulary=text["vocabulary"], positions=text["positions"]),
    )  # fmt: skip
    for section, trunk in ((vision, found.vision), (audio, found.audio), (text, found.text)):
        if trunk.width % trunk.heads:
            raise section.error("heads", f"is {trunk.heads}, which does not divide width {trunk.width}")
    if found.vision.patches < 1:
        raise vision.error("patch", f"is {found.vision.patch}, larger than a frame of {found.vision.side}")
    if min(found.audio.bands, found.audio.frames) < found.audio.kernel:
        raise audio.error("kernel", f"is {found.audio.kernel}, larger than the spectrogram")
    return found


class _Section:
    """One section of a config file; its errors name file, section and field."""

    def __init__(self, path: Path, name: str, values: Any) -> None:
        self.path, self.name = path, name
        section = values.get(name) if isinstance(values, Mapping) else None
        if not isinstance(section, Mapping):
            raise ExtractError(f"{path}: {name} is no JSON object with sizes; use the file that belongs to the weights")
        self.values = section

    def __getitem__(self, field: str) -> int:
        return _count(self.path, f"{self.name}.{field}", self.values.get(field))

    def trunk(self) -> dict[str, int]:
        return {"width": self["width"], "inner": self["mlp"], "blocks": self["blocks"], "heads": self["heads"]}

    def error(self, field: str, what: str) -> ExtractError:
        return _error(self.path, f"{self.name}.{field}", what)


def _count(path: Path, field: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise _error(path, field, "is missing" if value is None else f"is {value!r}, not a whole number of at least 1")
    return value


def _error(path: Path, field: str, what: str) -> ExtractError:
    return ExtractError(f"{path}: {field} {what}; use the config.json that belongs to the weights")

"""What a LanguageBind checkpoint's config.json says, as far as inference needs it.

Fields whose value no tensor's shape would betray (activation, number of heads) must be there; the others
fall back to the defaults of the published model classes, which leave such values out when they save.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from extract.errors import ExtractError

CONFIG_FILE = "config.json"
ACTIVATIONS = ("gelu", "quick_gelu")

_DEFAULT_LORA_R = 2  # the published class's, so a config without the field means it
_NEW_VIDEO = "vl_new"


@dataclass(frozen=True)
class LayerConfig:
    """Sizes of one transformer.

    Attributes:
        width: of a token.
        inner: width inside the MLP.
        layers: how many.
        heads: of an attention.
        activation: of the MLP, one of :data:`ACTIVATIONS`.
        epsilon: of the layer norms.
    """

    width: int
    inner: int
    layers: int
    heads: int
    activation: str
    epsilon: float


@dataclass(frozen=True)
class TextConfig(LayerConfig):
    """The text tower: transformer sizes, number of token ids, longest sentence in tokens."""

    vocabulary: int
    positions: int


@dataclass(frozen=True)
class VisionConfig(LayerConfig):
    """A tower for images, windows of video frames, or spectrograms.

    Attributes:
        patch: side of a square patch in pixels.
        channels: of a pixel.
        height: of the input in pixels, or mel bands.
        width_px: of the input in pixels, or spectrogram frames.
        square: grid (rows, columns) that position tables have before they are fitted to a spectrogram.
        frames: video frames a window; 0: the tower knows no time.
        class_per_frame: a class token of its own for each frame, and patches one frame deep ("vl_new").
        lora_r: rank of the low-rank updates; 0: none.
        lora_alpha: their scale times the rank.
        audio: whether the input is a spectrogram.
        audio_rate: sample rate in Hz of the sound.
        audio_mean: what is subtracted from a log-mel spectrogram.
        audio_std: by twice this it is divided.
    """

    patch: int
    channels: int
    height: int
    width_px: int
    square: tuple[int, int]
    frames: int
    class_per_frame: bool
    lora_r: int
    lora_alpha: float
    audio: bool
    audio_rate: int
    audio_mean: float
    audio_std: float

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches."""
        return self.height // self.patch, self.width_px // self.patch


@dataclass(frozen=True)
class CheckpointConfig:
    """A checkpoint: its two towers and the width of their common space."""

    vision: VisionConfig
    text: TextConfig
    dim: int


def read_config(path: Path) -> CheckpointConfig:
    """Read a checkpoint's config.json.

    Raises:
        ExtractError: not JSON, or a field is missing or of no use; names file and field.
    """
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ExtractError(f"{path}: cannot be read as JSON ({error})") from error
    top = _Fields(path, "", loaded)
    text, vision = top.section("text_config"), top.section("vision_config")
    return CheckpointConfig(vision=_vision(vision), text=_text(text), dim=top.count("projection_dim"))


class _Fields:
    """One section of a config file; its errors name file, section and field."""

    def __init__(self, path: Path, name: str, values: Any) -> None:
        if not isinstance(values, Mapping):
            raise ExtractError(f"{path}: {name or 'the file'} is not a JSON object")
        self.path, self.name, self.values = path, name, values

    def section(self, name: str) -> "_Fields":
        return _Fields(self.path, name, self.get(name))

    def get(self, field: str, default: Any = None) -> Any:
        value = self.values.get(field, default)
        if value is None:
            raise self.error(field, "is missing")
        return value

    def number(self, field: str, default: float | None = None) -> float:
        value = self.get(field, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.error(field, f"is {value!r}, not a number")
        return float(value)

    def count(self, field: str, default: int | None = None, least: int = 1) -> int:
        value = self.number(field, default)
        if value != int(value) or value < least:
            raise self.error(field, f"is {value:g}, not a whole number of at least {least}")
        return int(value)

    def choice(self, field: str, values: tuple[str, ...]) -> str:
        value = self.get(field)
        if value not in values:
            raise self.error(field, f"is {value!r}; known are {', '.join(values)}")
        return str(value)

    def error(self, field: str, what: str) -> ExtractError:
        where = f"{self.name}.{field}" if self.name else field
        return ExtractError(f"{self.path}: {where} {what}; use the config.json that belongs to the checkpoint")


def _layers(fields: _Fields) -> dict[str, Any]:
    width, heads = fields.count("hidden_size"), fields.count("num_attention_heads")
    if width % heads:
        raise fields.error("num_attention_heads", f"is {heads}, which does not divide hidden_size {width}")
    return {
        "width": width,
        "inner": fields.count("intermediate_size"),
        "layers": fields.count("num_hidden_layers", 12),
        "heads": heads,
        "activation": fields.choice("hidden_act", ACTIVATIONS),
        "epsilon": fields.number("layer_norm_eps", 1e-5),
    }


def _text(fields: _Fields) -> TextConfig:
    return TextConfig(
        **_layers(fields),
        vocabulary=fields.count("vocab_size", 49408),
        positions=fields.count("max_position_embeddings", 77),
    )


def _vision(fields: _Fields) -> VisionConfig:
    patch = fields.count("patch_size")
    square = _image_size(fields)
    bands, columns = fields.count("num_mel_bins", 0, least=0), fields.count("target_length", 0, least=0)
    if bool(bands) != bool(columns):
        raise fields.error("target_length" if bands else "num_mel_bins", "is 0, though the other is not")
    height, width = (bands, columns) if bands else square
    if min(height, width) < patch:
        raise fields.error("patch_size", f"is {patch}, larger than the input of {height} by {width}")
    frames = 0
    if fields.get("add_time_attn", False):
        frames = fields.count("num_frames", 1, least=2)
    new = fields.values.get("clip_type") == _NEW_VIDEO
    if new and (not frames or fields.count("tube_size", 1) != 1):
        raise fields.error("clip_type", f"is {_NEW_VIDEO}, which needs add_time_attn and a tube_size of 1")
    return VisionConfig(
        **_layers(fields),
        patch=patch,
        channels=fields.count("num_channels", 3),
        height=height,
        width_px=width,
        square=(square[0] // patch, square[1] // patch),
        frames=frames,
        class_per_frame=new,
        lora_r=fields.count("lora_r", _DEFAULT_LORA_R, least=0),
        lora_alpha=fields.number("lora_alpha", 16),
        audio=bool(bands),
        audio_rate=fields.count("audio_sample_rate", 16000),
        audio_mean=fields.number("audio_mean", -4.2677393),
        audio_std=fields.number("audio_std", 4.5689974),
    )


def _image_size(fields: _Fields) -> tuple[int, int]:
    """Height and width; the field is one number or a list of two."""
    value = fields.get("image_size", 224)
    sides = value if isinstance(value, list) else [value, value]
    if len(sides) != 2 or not all(isinstance(side, int) and side > 0 for side in sides):
        raise fields.error("image_size", f"is {value!r}, neither a number of pixels nor two of them")
    return sides[0], sides[1]

"""What the files beside PE-AV's weights say: sizes, frames of a window, how pictures become numbers."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from extract.backbones.weights import first_line
from extract.errors import ExtractError

CONFIG_FILE = "config.json"
VIDEO_FILE = "video_preprocessor_config.json"
MODEL_TYPE = "pe_audio_video"
USUAL_FRAMES = 8
"""Frames of a window where the model takes any number: the paper's of AV²A."""

_PROCESSOR_FILE = "processor_config.json"
_SIDE, _HALF = 336, (0.5, 0.5, 0.5)
_BILINEAR = 2
_MOST_FRAMES = 64


@dataclass(frozen=True)
class Pictures:
    """How the model's own processor makes numbers of a video.

    Attributes:
        side: of the square, in pixels.
        mean: of each channel, subtracted.
        std: of each channel, divided by.
        frames: of a window; 0: any number.
    """

    side: int = _SIDE
    mean: tuple[float, ...] = _HALF
    std: tuple[float, ...] = _HALF
    frames: int = 0

    @classmethod
    def of(cls, folder: Path) -> "Pictures":
        """What a folder's files say; the published models' where it has none.

        Raises:
            ExtractError: a file that cannot be used.
        """
        path, told = folder / VIDEO_FILE, _json(folder / VIDEO_FILE)
        if not told:
            path, told = folder / _PROCESSOR_FILE, _json(folder / _PROCESSOR_FILE).get("video_processor", {})
        try:
            size = told.get("size") or {"height": _SIDE, "width": _SIDE}
            height, width, frames = int(size["height"]), int(size["width"]), int(told.get("num_frames") or 0)
            mean, std = (tuple(float(each) for each in told.get(key, _HALF)) for key in ("image_mean", "image_std"))
            fits = height == width > 0 and len(mean) == len(std) == 3 and 0 not in std and 0 <= frames <= _MOST_FRAMES
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ExtractError(f"{path}: cannot be used ({error!r}); get it again from the weights' hub") from error
        if not fits or told.get("resample", _BILINEAR) != _BILINEAR:
            raise ExtractError(
                f"{path}: no square pictures, scaled bilinearly, in windows of at most {_MOST_FRAMES} frames; get it "
                "again from the weights' hub"
            )
        return cls(height, mean, std, frames)


def model_config(folder: Path) -> Any:
    """The PeAudioVideoConfig of a folder, as every version of transformers is to read it.

    transformers 5.0 wrote how wide the picture encoder's output is as ``num_classes``; later versions take it from
    ``num_labels`` and would build one for two classes. What is tied is left to whoever loads the weights.

    Raises:
        ExtractError: no such file, another model's, a damaged one.
    """
    path = folder / CONFIG_FILE
    if not path.is_file():
        raise ExtractError(f"no {CONFIG_FILE} in {folder}: name a folder with all files of a PE-AV model's hub page")
    told = dict(_json(path))
    if told.get("model_type") != MODEL_TYPE:
        raise ExtractError(
            f"{path}: of a model of type {told.get('model_type')!r}, not {MODEL_TYPE!r}; name a folder with the files "
            "of facebook/pe-av-large or another PE-AV (docs/backbones.md)"
        )
    try:
        from transformers import PeAudioVideoConfig

        _mend_labels(told["audio_video_config"]["video_config"]["vision_config"])
        return PeAudioVideoConfig.from_dict({**told, "tie_word_embeddings": False})
    except Exception as error:  # whatever transformers makes of odd values
        raise ExtractError(f"{path}: cannot be used ({first_line(error)}); get it again") from error


def _mend_labels(vision: dict[str, Any]) -> None:
    width = vision.get("num_classes", vision.get("num_labels"))
    if width is not None:
        vision["num_classes"] = vision["num_labels"] = width
    for names in ("id2label", "label2id", "label_names"):
        vision.pop(names, None)


def _json(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        return {}
    try:
        told = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ExtractError(f"{path}: cannot be read ({first_line(error)}); get it again") from error
    if not isinstance(told, dict):
        raise ExtractError(f"{path}: holds no settings by name; get it again")
    return cast("dict[str, Any]", told)

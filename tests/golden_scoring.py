"""The golden scoring sets: features, configurations, the official events and metrics."""

import functools
import gzip
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from feature_cache import FeatureCache

FOLDER = Path(__file__).parent / "golden" / "scoring"
NAMES = ("language_bind_llp", "language_bind_ave", "clip_clap_llp", "clip_clap_ave")
STREAMS = {"combined": "audiovisual", "video": "visual", "audio": "audio"}
FIGURES = {
    "F_seg_a": "segment-audio",
    "F_seg_v": "segment-visual",
    "F_seg_av": "segment-audiovisual",
    "avg_type": "segment-type-av",
    "avg_event": "segment-event-av",
    "F_event_a": "event-audio",
    "F_event_v": "event-visual",
    "F_event_av": "event-audiovisual",
    "avg_type_event": "event-type-av",
    "avg_event_level": "event-event-av",
}


@dataclass(frozen=True)
class GoldenSet:
    name: str
    features: dict[str, Any]
    official: dict[str, Any]

    @classmethod
    @functools.cache
    def load(cls, name: str) -> Self:
        with np.load(FOLDER / f"{name}_features.npz") as stored:
            features = {key: stored[key] for key in stored}
        with gzip.open(FOLDER / f"{name}_events.json.gz", "rt") as stream:
            return cls(name, features, json.load(stream))

    def make_cache(self, path: Path) -> FeatureCache:
        cache = FeatureCache.from_arrays(
            path,
            clip_ids=self.official["videos"],
            backbone=self.official["backbone"],
            image=self.features["image"],
            video=self.features["video"],
            audio=self.features["audio"],
        )
        cache.add_text(
            self.name.rsplit("_", 1)[1],
            labels=self.official["labels"],
            visual=self.features["text_visual"],
            audio=self.features["text_audio"],
            prompts={kind: lines for kind, lines in self.official["prompts"].items() if lines},
        )
        return cache

    def published(self) -> dict[str, Any]:
        """The result under the settings of the paper: the first configuration."""
        found: dict[str, Any] = self.official["results"][0]
        return found

    @staticmethod
    def write_annotations(folder: Path) -> None:
        """The golden clips' annotations under the names that LLP's files have."""
        folder.mkdir()
        for golden, name in (
            ("llp_eval_audio.csv", "AVVP_eval_audio.csv"),
            ("llp_eval_visual.csv", "AVVP_eval_visual.csv"),
            ("llp_test_pd.csv", "AVVP_test_pd.csv"),
        ):
            shutil.copyfile(FOLDER / golden, folder / name)

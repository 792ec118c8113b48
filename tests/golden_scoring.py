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
from score import Events, ScoreConfig
from score.choices import STREAMS as OUR_STREAMS
from score.reference.scoring import ClipLogits, clip_logits

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

    def clip_logits(self, number: int) -> ClipLogits:
        """Logits of one clip, as the reference takes them."""
        video = self.features["video"][number]
        return clip_logits(
            self.features["image"][number],
            video if video.ndim == 3 else video[:, None],
            self.features["audio"][number],
            self.features["text_visual"],
            self.features["text_audio"],
        )

    def published(self) -> dict[str, Any]:
        """The result under the settings of the paper: the first configuration."""
        found: dict[str, Any] = self.official["results"][0]
        return found

    def official_events(self, number: int) -> Events:
        """The official events of a configuration, as ours."""
        rows = []
        places = {label.lower(): k for k, label in enumerate(self.official["labels"])}
        for clip, streams in enumerate(self.official["results"][number]["events"]):
            by_stream = {STREAMS[name]: found for name, found in zip(self.official["streams"], streams, strict=True)}
            for k, stream in enumerate(OUR_STREAMS):
                rows += [(clip, k, places[label], start, end) for label, start, end in by_stream[stream]]
        table = np.array(rows, dtype=np.int64).reshape(-1, 5)
        return Events(
            config=golden_config(self.name, self.official["results"][number]["config"]),
            clip_ids=tuple(self.official["videos"]),
            labels=tuple(self.official["labels"]),
            clip=table[:, 0].astype(np.int32),
            stream_number=table[:, 1].astype(np.int8),
            label=table[:, 2].astype(np.int32),
            start=table[:, 3].astype(np.int16),
            end=table[:, 4].astype(np.int16),
            score=np.ones(len(table)),
            segments=10,
            segment_seconds=1.0,
            cache={},
            left_out={},
        )

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


def golden_config(name: str, given: dict[str, Any]) -> ScoreConfig:
    """A golden configuration in our names; LLP sets decide by threshold, AVE sets by the best label."""
    return ScoreConfig(
        alpha=given["alpha"],
        filter_threshold=given["tauf"],
        threshold_stage1=given["tau1"],
        threshold_stage2=given["tau2"],
        gamma=given["gamma"],
        method=given["method"],
        fusion=given["fusion"],
        label_selection=given["filter"],
        refinement=given["refine"],
        decision="argmax" if name.endswith("_ave") else "threshold",
    )

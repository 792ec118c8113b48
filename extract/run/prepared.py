"""A run that can begin: what it finds, its encoders, labels and clips, and how its cache is made."""

import time
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from extract.backbones.base import Backbone
from extract.backbones.detector import Detector
from extract.errors import ExtractError
from extract.label_sets import LabelSet, find_label_set
from extract.options import POOLING, ExtractOptions
from extract.run.clip_plan import ClipPlan
from extract.run.detecting import Wanted
from extract.run.open_cache import CacheKind, check_joint, has_joint, has_segments
from extract.run.preparing import RunInputs, find_inputs, kind_of, load_encoders, planned


@dataclass(frozen=True)
class Prepared:
    """A run that can begin.

    Attributes:
        inputs: what it finds.
        encoders: loaded.
        labels: those that it embeds, or listens for.
        text_name: their set's name in the cache.
        plan: the clips.
        kind: how the cache is made.
        heard: what a detector listens for; None: the encoders are none.
        load_seconds: what loading the encoders took.
    """

    inputs: RunInputs
    encoders: Backbone
    labels: LabelSet
    text_name: str
    plan: ClipPlan
    kind: CacheKind
    heard: Wanted | None
    load_seconds: float

    @property
    def clips(self) -> list[str]:
        """Ids of the clips, in order."""
        return list(self.plan.of)


def prepare(source: Path, output: PathLike[str] | str, options: ExtractOptions) -> Prepared:
    """Find out all that a run needs; nothing is written.

    Args:
        source: folder of video files, or one file.
        output: the cache.
        options: how.

    Raises:
        ExtractError: nothing to read, options that do not go together, weights that are missing.
        CacheError: the cache that is there cannot be read.
    """
    inputs = find_inputs(source, output, options)
    segments = has_segments(inputs.there, options.audio_segments)
    joint = has_joint(inputs.there, options.joint)
    began = time.perf_counter()
    encoders = load_encoders(inputs, options)
    loaded = time.perf_counter() - began
    check_joint(encoders, joint)
    labels = find_label_set(options.labels or inputs.beside or encoders.default_labels)
    plan = planned(inputs, options)
    kind = kind_of(inputs, plan, encoders, options, audio_segments=segments, joint=joint)
    heard = _heard(encoders, labels, options)
    if heard is not None and isinstance(encoders, Detector):
        kind = heard.kind(kind, encoders, options.dtype, options.clip_seconds)
    return Prepared(inputs, encoders, labels, options.text_name or labels.name, plan, kind, heard, loaded)


def _heard(encoders: Backbone, labels: LabelSet, options: ExtractOptions) -> Wanted | None:
    """What a detector listens for; None: the encoders are none.

    Raises:
        ExtractError: an option that has no meaning for these encoders.
    """
    if not isinstance(encoders, Detector):
        if options.pooling is not None:
            raise ExtractError(f"`pooling={options.pooling!r}`: {encoders.name} gives embeddings, no frames to pool")
        return None
    for name, value in (("windows", options.windows != "all"), ("audio_segments", options.audio_segments is not None),
                        ("official_randomness", options.official_randomness is not None)):  # fmt: skip
        if value:
            raise ExtractError(
                f"`{name}={getattr(options, name)!r}`: {encoders.name} hears a clip as one: leave it out"
            )
    return Wanted.of(encoders, labels, options.text_name or labels.name, options.pooling or POOLING[0])

"""What an engine is asked for: rows of a cache, by shard, to be computed in any way, anywhere."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from extract.backbones import load_backbone
from extract.backbones.base import Backbone
from extract.device import resolve_device
from extract.run.shares import Share
from extract.run.stopwatch import Spent
from extract.run.worker import Clips, Job
from feature_cache import FeatureCache

Progress = Callable[[int, int], None]
"""Called with (clips finished, clips in all)."""


@dataclass(frozen=True)
class Recipe:
    """How a job is made, in any process: picklable.

    Attributes:
        backbone: name of the encoders.
        checkpoint: folder with local weights.
        clap_checkpoint: a .pt file of laion_clap for the sound.
        precision: arithmetic of the encoders.
        clips: what is known of the clips.
        before: a cache whose rows get what they lack in the one that is filled, of the same clips.
    """

    backbone: str
    checkpoint: Path | str | None
    clap_checkpoint: Path | str | None
    precision: str
    clips: Clips
    before: str | None = None

    def job(self, device: str, encoders: Backbone | None = None) -> Job:
        """A job on a device; the encoders are loaded unless they are there already."""
        where = resolve_device(device)
        found = encoders or load_backbone(
            self.backbone, self.checkpoint, str(where), self.precision, self.clap_checkpoint
        )
        before = None if self.before is None else FeatureCache.open(self.before)
        words = None if self.clips.wanted is None else self.clips.wanted.words(found)
        return Job(found, where, self.clips, fed=where.type == "cuda", before=before, words=words)


@dataclass(frozen=True)
class Work:
    """What is to be computed.

    Attributes:
        cache: opened to write.
        recipe: how a job is made.
        encoders: those of this process, on the first device if there is one device only.
        devices: their names.
        todo: rows by shard.
        share: whose shards these are.
        workers: threads that decode, all devices together.
        finished: clips that are there already.
        total: clips in all.
    """

    cache: FeatureCache
    recipe: Recipe
    encoders: Backbone
    devices: Sequence[str]
    todo: Mapping[int, Sequence[int]]
    share: Share
    workers: int
    finished: int
    total: int


class Engine(Protocol):
    """Computes rows: every shard is written by one hand, and whole shards stay when it is killed."""

    def __call__(self, work: Work, progress: Progress) -> Spent:
        """Compute all rows of ``work.todo``."""

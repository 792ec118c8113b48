"""ExtractOptions: every tunable of extraction, checked once."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from extract.backbones import with_models
from extract.default_backbone import USUAL
from extract.errors import ExtractError
from extract.run.clip_plan import Cut
from extract.run.shares import Share

WINDOWS = ("all", "whole")
POOLING = ("mean", "max")
"""How the frames of a segment become one probability."""
ADDED = ("audio-segments",)
"""What can be added to a cache that is there."""
MOST = {"workers": 1024, "batch_size": 65_536, "shard_size": 1_000_000}
"""The most that a number may be; all are at least 1."""
LONGEST_TIMEOUT = 31_536_000.0
"""Seconds: a year."""


@dataclass(frozen=True, kw_only=True)
class ExtractOptions:
    """How videos are extracted; picklable.

    Attributes:
        backbone: name of the encoders; None: the cache's own if one is there to be gone on with, else "tiny" for
            clips that :func:`extract.make_demo` made, "clip_clap" for all others.
        checkpoint: folder with local weights.
        clap_checkpoint: a .pt file of laion_clap for the sound.
        image_model: an image model of open_clip for the pictures, in place of clip_clap's.
        audio_model: a CLAP of transformers for the sound, likewise.
        labels: name of a label set or a text file; None: labels.txt beside the videos, else the backbone's
            own set.
        text_name: the set's name in the cache; None: its own name.
        audio_dir: folder of WAV files to take the sound from, called by the videos' ids, paths or names.
        recursive: take files of folders below, too.
        device: "auto", "cpu", "cuda" or "cuda:i"; several, as "cuda:0,cuda:1", get a process each.
        precision: arithmetic of the encoders, "float32", "float16" or "bfloat16".
        dtype: how embeddings are stored, "float16" or "float32"; None: float16, a detector's probabilities float32.
        workers: clips decoded (on a CPU: and encoded) at a time; None: as many as there are cores.
        batch_size: frames or windows in one pass of an encoder; None: 16 on a CPU, 64 on a GPU.
        shard_size: clips a shard of a new cache.
        official_randomness: a seed: flip windows and cut long sound at random, as the official code does
            (each clip with choices of its own); None: neither.
        clip_seconds: length of a clip of 10 segments; longer files are cut into several.
        stride: seconds from one of them to the next; None: as long as a clip.
        tail: "pad" or "drop", what becomes of files, and ends of files, that are shorter than a clip.
        windows: "all", or "whole": encode window 0 and the segments' images alone, a cheap first look.
        clip_timeout: seconds that decoding a clip may take; None: 120 and 20 for each of its own.
        retry_failed: try clips again that failed before.
        prune: remove clips from the cache whose files are gone.
        shard_range: "i/n": compute every n-th shard alone, beginning with shard i; n processes on any machines
            fill one cache. 0/n makes it and adds clips and labels; the others wait for that.
        overwrite: replace a cache that is there.
        audio_segments: store the sound of each segment, too; None: as a cache that is gone on with has it, in a new
            one yes.
        joint: store an embedding of picture and sound at once of each window, too, which pe_av gives; None: as a cache
            that is gone on with has it, in a new one no.
        add: "audio-segments": give them to a cache that is there without them; nothing else is computed. No clips
            and no labels are added.
        pooling: "mean" or "max", how a detector's frames become a segment; None: "mean".
        only: ids of the files to take, as :func:`extract.run.inputs.find_videos` gives them; None: all there are.

    Raises:
        ExtractError: a value is out of its range, or two do not go together.

    Example:
        >>> ExtractOptions(backbone="tiny", windows="whole").cut.clip_seconds
        10.0
    """

    backbone: str | None = None
    checkpoint: Path | str | None = None
    clap_checkpoint: Path | str | None = None
    image_model: str | None = None
    audio_model: str | None = None
    labels: Path | str | None = None
    text_name: str | None = None
    audio_dir: Path | str | None = None
    recursive: bool = True
    device: str = "auto"
    precision: str = "float32"
    dtype: str | None = None
    workers: int | None = None
    batch_size: int | None = None
    shard_size: int = 32
    official_randomness: int | None = None
    clip_seconds: float = 10.0
    stride: float | None = None
    tail: str = "pad"
    windows: str = "all"
    clip_timeout: float | None = None
    retry_failed: bool = False
    prune: bool = False
    shard_range: str | None = None
    overwrite: bool = False
    audio_segments: bool | None = None
    joint: bool | None = None
    add: str | None = None
    pooling: str | None = None
    only: Collection[str] | None = None

    def __post_init__(self) -> None:
        """Check every value."""
        for name in MOST:
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ExtractError(f"{name} must be at least 1, got {value}")
            if value is not None and value > MOST[name]:
                raise ExtractError(f"{name} must be at most {MOST[name]}, got {value}")
        if self.clip_timeout is not None and not 0 < self.clip_timeout <= LONGEST_TIMEOUT:
            raise ExtractError(f"`clip_timeout={self.clip_timeout}`: seconds are needed, {LONGEST_TIMEOUT:.0f} at most")
        share = self.share
        for name in ("overwrite", "prune"):
            if getattr(self, name) and not share.whole:
                raise ExtractError(f"`{name}=True` changes the whole cache: run it once without `shard_range`")
        if self.prune and self.only is not None:
            raise ExtractError("`prune=True` removes clips whose files are gone: `only` says nothing of the others")
        if self.add is not None:
            self._check_add()
        if self.pooling not in (None, *POOLING):
            raise ExtractError(f"pooling {self.pooling!r}: use {' or '.join(POOLING)}")
        if self.windows not in WINDOWS:
            raise ExtractError(f"windows {self.windows!r}: use {' or '.join(WINDOWS)}")
        _ = self.cut, self.encoders

    def _check_add(self) -> None:
        if self.add not in ADDED:
            raise ExtractError(f"`add={self.add!r}`: use one of {', '.join(ADDED)}")
        for name in ("overwrite", "retry_failed"):
            if getattr(self, name):
                raise ExtractError(f"`add={self.add!r}` lets clips alone that are there: leave out `{name}=True`")
        if self.audio_segments is False:
            raise ExtractError(f"`add={self.add!r}` and `audio_segments=False` do not go together: leave out one")
        if not self.share.whole or self.only is not None:
            what = "only" if self.share.whole else "shard_range"
            raise ExtractError(f"`add={self.add!r}` changes the whole cache: run it without `{what}`")

    @property
    def encoders(self) -> str | None:
        """The backbone that is asked for, with its models; None: none is."""
        models = self.image_model, self.audio_model
        if self.backbone is None and models == (None, None):
            return None
        return with_models(self.backbone or USUAL, *models)

    @property
    def share(self) -> Share:
        """Which shards are computed."""
        return Share() if self.shard_range is None else Share.parse(self.shard_range)

    @property
    def cut(self) -> Cut:
        """How files become clips."""
        return Cut(self.clip_seconds, self.stride, self.tail)

    @property
    def devices(self) -> list[str]:
        """Names of the devices."""
        return self.device.split(",")

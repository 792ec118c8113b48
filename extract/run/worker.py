"""One clip's way from a file to embeddings, and what becomes of a file that cannot be used."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from extract.backbones.base import Backbone, FrameChooser, TwoStep, VideoBackbone
from extract.backbones.detector import Detector
from extract.errors import MediaError
from extract.media.clip import Views, decode_clip
from extract.media.limits import default_timeout
from extract.run.batches import BatchSize, MemoryFullError
from extract.run.clip_plan import SEGMENTS
from extract.run.detecting import Wanted, detect_clips, prepare_sound
from extract.run.encode import ARRAYS, ClipEmbeddings, ClipInputs, encode_clips, prepare_clip
from extract.run.stopwatch import Spent, Stopwatch
from feature_cache import FeatureCache


@dataclass(frozen=True)
class Clips:
    """What is known of a run's clips, the same for every worker: picklable.

    Attributes:
        videos: files by clip id.
        sounds: by clip id the sound file, or why there is none; None: the files' own sound.
        batch_size: frames or sounds in one pass, to begin with.
        adapts: whether it is halved where memory is full.
        randomness: seed of the official code's random choices; None: fixed ones.
        begins: at which second of its file a clip begins, by clip id; clips that are whole files are not in it.
        refused: why clips cannot be used, where that is known before.
        clip_seconds: length of a clip.
        whole_only: prepare and encode window 0 (and the segments' images) alone.
        timeout: seconds that decoding a clip may take; None: the usual.
        arrays: what is encoded, as :func:`extract.run.encode.prepare_clip` takes it.
        wanted: what a detector listens for; None: the encoders are none.
    """

    videos: Mapping[str, Path]
    sounds: Mapping[str, Path | str] | None = None
    batch_size: int = 16
    adapts: bool = True
    randomness: int | None = None
    begins: Mapping[str, float] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    clip_seconds: float = 10.0
    whole_only: bool = False
    timeout: float | None = None
    arrays: tuple[str, ...] = ARRAYS
    wanted: Wanted | None = None


@dataclass(frozen=True)
class Job:
    """What is done with each clip.

    Attributes:
        encoders: the backbone.
        device: the encoders'.
        clips: what is known of them.
        fed: one thread encodes what many prepare, as on a GPU; else each encodes its own clip.
        watch: counts where the time goes.
        before: a cache whose rows get what they lack.
        words: of a detector's labels, as it takes them.
        batches: frames or sounds in one pass, as they are now.
    """

    encoders: Backbone
    device: torch.device
    clips: Clips
    fed: bool = False
    watch: Stopwatch = field(default_factory=Stopwatch)
    before: FeatureCache | None = None
    words: Tensor | None = None
    batches: BatchSize = field(init=False)

    def __post_init__(self) -> None:
        """Begin with the size that is asked for."""
        object.__setattr__(self, "batches", BatchSize(self.clips.batch_size, adapts=self.clips.adapts))

    @property
    def spent(self) -> Spent:
        """What it has taken so far."""
        return Spent(self.watch.seconds(), self.batches.size)

    def work(self, clip: str) -> ClipInputs | ClipEmbeddings | MediaError:
        """In a worker: decode and prepare; encode too if nobody else does, with one core and a clip of its own."""
        prepared = self._prepare(clip)
        if isinstance(prepared, MediaError):
            return prepared
        if not self.fed:
            return self.encode([prepared])[0]
        return prepared.pinned() if self.device.type == "cuda" else prepared

    def encode(self, clips: Sequence[ClipInputs]) -> list[ClipEmbeddings]:
        """Prepared clips to embeddings, in smaller batches where memory is full, at last a clip at a time.

        Raises:
            ExtractError: memory is full all the same.
        """
        with self.watch.stage("encode"):
            try:
                return self.batches.fitting(lambda size: self._encoded(clips, size))
            except MemoryFullError:
                if len(clips) == 1:
                    raise
        return [found for clip in clips for found in self.encode([clip])]

    def _encoded(self, clips: Sequence[ClipInputs], batch_size: int) -> list[ClipEmbeddings]:
        if isinstance(self.encoders, Detector) and self.words is not None and self.clips.wanted is not None:
            pooling = self.clips.wanted.pooling
            return detect_clips(self.encoders, clips, self.device, batch_size, self.words, pooling)
        return encode_clips(self.encoders, clips, self.device, batch_size, self.clips.arrays)

    def _prepare(self, clip: str) -> ClipInputs | MediaError:
        known = self.clips
        path = known.videos[clip]
        if clip in known.refused:
            return MediaError(path, known.refused[clip])
        sound = None if known.sounds is None else known.sounds[clip]
        if isinstance(sound, str):
            return MediaError(path, sound)
        try:
            with self.watch.stage("decode"):
                media = decode_clip(
                    path,
                    views=self._views(),
                    sample_rate=self.encoders.sample_rate,
                    frames_per_window=self.encoders.frames_per_window,
                    window_frames=self.encoders.window_frames if isinstance(self.encoders, FrameChooser) else None,
                    segment_seconds=known.clip_seconds / SEGMENTS,
                    sound_path=sound,
                    begin=known.begins.get(clip),
                    whole_only=known.whole_only,
                    sound_only="image" not in known.arrays,
                    timeout=default_timeout(known.clip_seconds) if known.timeout is None else known.timeout,
                )
        except MediaError as error:
            return error
        except Exception as error:  # decoders raise what they like on damaged files: the rest goes on
            return MediaError(path, f"it cannot be decoded ({type(error).__name__}: {error}); get it again")
        with self.watch.stage("prepare"):
            if isinstance(self.encoders, Detector):
                return prepare_sound(self.encoders, media)
            return prepare_clip(
                self.encoders, media, self._random(clip), segment_random=self._random(f"{clip}/segments"),
                arrays=known.arrays,
            )  # fmt: skip

    def _views(self) -> Views:
        encoders = self.encoders
        video = encoders.prepare_video_frames if isinstance(encoders, VideoBackbone) else None
        if isinstance(encoders, TwoStep):  # windows take what images do
            video = None
        return Views(self._timed(encoders.prepare_frames), None if video is None else self._timed(video))

    def _timed(self, view: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        def timed(frames: Tensor) -> Tensor:
            with self.watch.stage("prepare"):
                return view(frames)

        return timed

    def _random(self, clip: str) -> np.random.RandomState | None:
        """A clip's own source: its choices do not depend on the clips around it."""
        if self.clips.randomness is None:
            return None
        seed = hashlib.blake2b(f"{self.clips.randomness}/{clip}".encode(), digest_size=4).digest()
        return np.random.RandomState(int.from_bytes(seed, "big"))

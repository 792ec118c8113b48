"""One clip's way from a file to embeddings, and what becomes of a file that cannot be used."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from extract.backbones.base import Backbone, VideoBackbone
from extract.errors import ExtractError, MediaError
from extract.media.clip import Views, decode_clip
from extract.media.limits import default_timeout
from extract.run.clip_plan import SEGMENTS
from extract.run.encode import ClipEmbeddings, ClipInputs, encode_clips, prepare_clip
from extract.run.stopwatch import Stopwatch


@dataclass(frozen=True)
class Job:
    """What is done with each clip.

    Attributes:
        encoders: the backbone.
        videos: files by clip id.
        sounds: by clip id the sound file, or why there is none; None: the files' own sound.
        device: the encoders'.
        batch_size: frames or sounds in one pass.
        fed: one thread encodes what many prepare, as on a GPU; else each encodes its own clip.
        randomness: seed of the official code's random choices; None: fixed ones.
        begins: at which second of its file a clip begins, by clip id; clips that are whole files are not in it.
        refused: why clips cannot be used, where that is known before.
        clip_seconds: length of a clip.
        whole_only: prepare and encode window 0 (and the segments' images) alone.
        timeout: seconds that decoding a clip may take; None: the usual.
        watch: counts where the time goes.
    """

    encoders: Backbone
    videos: Mapping[str, Path]
    sounds: Mapping[str, Path | str] | None
    device: torch.device
    batch_size: int
    fed: bool = False
    randomness: int | None = None
    begins: Mapping[str, float] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    clip_seconds: float = 10.0
    whole_only: bool = False
    timeout: float | None = None
    watch: Stopwatch = field(default_factory=Stopwatch)

    def work(self, clip: str) -> ClipInputs | ClipEmbeddings | MediaError:
        """In a worker: decode and prepare; encode too if nobody else does, with one core and a clip of its own."""
        prepared = self._prepare(clip)
        if isinstance(prepared, MediaError):
            return prepared
        if not self.fed:
            return self.encode([prepared])[0]
        return prepared.pinned() if self.device.type == "cuda" else prepared

    def encode(self, clips: Sequence[ClipInputs]) -> list[ClipEmbeddings]:
        """Prepared clips to embeddings.

        Raises:
            ExtractError: the GPU's memory is full.
        """
        try:
            with self.watch.stage("encode"):
                return encode_clips(self.encoders, clips, self.device, self.batch_size)
        except torch.OutOfMemoryError as error:
            raise ExtractError(
                f"the GPU's memory is full with batches of {self.batch_size}: give a smaller --batch-size"
            ) from error

    def _prepare(self, clip: str) -> ClipInputs | MediaError:
        path = self.videos[clip]
        if clip in self.refused:
            return MediaError(path, self.refused[clip])
        sound = None if self.sounds is None else self.sounds[clip]
        if isinstance(sound, str):
            return MediaError(path, sound)
        try:
            with self.watch.stage("decode"):
                media = decode_clip(
                    path,
                    views=self._views(),
                    sample_rate=self.encoders.sample_rate,
                    frames_per_window=self.encoders.frames_per_window,
                    segment_seconds=self.clip_seconds / SEGMENTS,
                    sound_path=sound,
                    begin=self.begins.get(clip),
                    whole_only=self.whole_only,
                    timeout=default_timeout(self.clip_seconds) if self.timeout is None else self.timeout,
                )
        except MediaError as error:
            return error
        except Exception as error:  # decoders raise what they like on files like nobody's: the rest goes on
            return MediaError(path, f"it cannot be decoded ({type(error).__name__}: {error}); get it again")
        with self.watch.stage("prepare"):
            return prepare_clip(self.encoders, media, self._random(clip))

    def _views(self) -> Views:
        encoders = self.encoders
        video = encoders.prepare_video_frames if isinstance(encoders, VideoBackbone) else None
        return Views(self._timed(encoders.prepare_frames), None if video is None else self._timed(video))

    def _timed(self, view: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        def timed(frames: Tensor) -> Tensor:
            with self.watch.stage("prepare"):
                return view(frames)

        return timed

    def _random(self, clip: str) -> np.random.RandomState | None:
        """A clip's own source: its choices do not depend on the clips around it."""
        if self.randomness is None:
            return None
        seed = hashlib.blake2b(f"{self.randomness}/{clip}".encode(), digest_size=4).digest()
        return np.random.RandomState(int.from_bytes(seed, "big"))

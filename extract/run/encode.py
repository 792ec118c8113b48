"""Clips through the encoders: every distinct frame, view and sound once, in even batches."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from extract.backbones.base import Backbone, JointBackbone, SharedViews, TwoStep, VideoBackbone
from extract.media.audio_windows import SoundWindows
from extract.media.clip import ClipMedia
from extract.run.two_steps import join, listen_to, look_at
from feature_cache import NO_PICTURE, NO_SOUND

ARRAYS = ("image", "video", "audio", "audio_segments")
"""What can be encoded of a clip, as a cache calls it."""
SEGMENTS_ALONE = ("audio_segments",)
"""What needs no picture."""


@dataclass(frozen=True)
class ClipInputs:
    """A clip as the encoders take it.

    Attributes:
        media: the decoded clip; its sound is not needed any more.
        sounds: (W, ...), what the backbone made of each window's sound, or (k, ...), of the views that windows share;
            None: the clip has none.
        flips: bool (W,), windows whose frames are mirrored; None: none is.
        segment_sounds: (T, ...), what the backbone made of each segment's sound, or (1, ...), what a detector made of
            all of it; None: the clip has none, or it is not wanted.
        sound_rows: int64 (W, V), rows of ``sounds`` that make up each window; None: each has its own row.
        waves: in place of ``sounds`` for two-step backbones, the windows as stretches of the waveform.
        segment_waves: in place of ``segment_sounds``, the segments likewise.
    """

    media: ClipMedia
    sounds: Tensor | None
    flips: NDArray[np.bool_] | None = None
    segment_sounds: Tensor | None = None
    sound_rows: NDArray[np.int64] | None = None
    waves: SoundWindows | None = None
    segment_waves: SoundWindows | None = None

    @property
    def has_sound(self) -> bool:
        """Whether there is sound of its windows."""
        return self.sounds is not None or self.waves is not None

    def pinned(self) -> "ClipInputs":
        """The same in memory from which a GPU copies while it computes."""
        media = replace(self.media, images=_pinned(self.media.images), videos=_pinned(self.media.videos))
        found = replace(self, media=media, sounds=_pinned(self.sounds), segment_sounds=_pinned(self.segment_sounds))
        given = next((waves for waves in (self.waves, self.segment_waves) if waves is not None), None)
        if given is None:
            return found
        wave = given.wave.pin_memory()  # one for both
        waves, segments = (None if each is None else each.of(wave) for each in (self.waves, self.segment_waves))
        return replace(found, waves=waves, segment_waves=segments)


def _pinned(values: Tensor | None) -> Tensor | None:
    return None if values is None else values.pin_memory()


@dataclass(frozen=True)
class ClipEmbeddings:
    """What the cache holds of one clip, in float32.

    Of what a clip does not have the embeddings are zeros; of what is not wanted there are none (0 rows).

    Attributes:
        image: (T, Dv), a segment's frame.
        video: (W, F, Dv), a window's frames; F = 1 for a video encoder.
        audio: (W, Da), a window's sound.
        missing: 0, NO_PICTURE or NO_SOUND.
        audio_segments: (T, Da), a segment's sound.
        joint: (W, Dj), a window's picture and sound at once; zeros where either is missing.
        visual_probability: (T, C), what a detector sees.
        audio_probability: (T, C), what it hears.
    """

    image: NDArray[np.float32]
    video: NDArray[np.float32]
    audio: NDArray[np.float32]
    missing: int = 0
    audio_segments: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), dtype=np.float32))
    joint: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), dtype=np.float32))
    visual_probability: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), dtype=np.float32))
    audio_probability: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), dtype=np.float32))


def prepare_clip(
    backbone: Backbone,
    media: ClipMedia,
    random: np.random.RandomState | None = None,
    *,
    segment_random: np.random.RandomState | None = None,
    arrays: Collection[str] = ARRAYS,
) -> ClipInputs:
    """What the encoders take of a decoded clip.

    Segments are prepared apart from windows, so that neither's values depend on whether the others are wanted.

    Args:
        backbone: the encoders.
        media: the clip, decoded with the backbone's views.
        random: makes the official code's random choices: a flip a window, where sound is cut.
        segment_random: the same for the sound of segments.
        arrays: what is wanted of :data:`ARRAYS`: all, all but "audio_segments", or that alone; and "joint".
    """
    if isinstance(backbone, TwoStep):
        waves = media.windows if "image" in arrays else None
        return ClipInputs(
            media, None, waves=waves, segment_waves=media.segments if "audio_segments" in arrays else None
        )
    segment_sounds = sounds = flips = rows = None
    if "audio_segments" in arrays and media.segments is not None:
        segment_sounds = backbone.prepare_audio(media.segments, segment_random)
    if "image" in arrays:
        if random is not None and isinstance(backbone, VideoBackbone) and backbone.random_flips:
            flips = random.random_sample(len(media.video_index)) < 0.5
        if media.windows is not None and isinstance(backbone, SharedViews):
            sounds, rows = backbone.prepare_shared_audio(media.windows)
        elif media.windows is not None:
            sounds = backbone.prepare_audio(media.windows, random)
    return ClipInputs(media, sounds, flips, segment_sounds, rows)


def encode_clips(
    backbone: Backbone,
    clips: Sequence[ClipInputs],
    device: torch.device,
    batch_size: int,
    arrays: Collection[str] = ARRAYS,
) -> list[ClipEmbeddings]:
    """Encode clips together: batches run across their frames, across their windows and across their segments.

    Args:
        backbone: the encoders.
        clips: prepared clips; all of them lie on the device at once.
        device: the encoders'.
        batch_size: frames or sounds in one pass, at most (at least one window).
        arrays: what is wanted, as :func:`prepare_clip` was told.
    """
    segments = _segments(backbone, clips, device, batch_size, arrays)
    if "image" not in arrays:
        none = np.zeros((0, 0), dtype=np.float32)
        return [ClipEmbeddings(none, none, none, 0, each) for each in segments]
    seen = [clip for clip in clips if clip.media.images is not None]
    joined: Iterator[NDArray[np.float32]] = iter(())
    if isinstance(backbone, TwoStep):
        images, videos, heard, joined = _encode_in_two_steps(backbone, clips, device, batch_size, arrays)
    else:
        images, videos = _encode_pictures(backbone, seen, device, batch_size)
        heard = _encode(backbone.encode_audio, [clip.sounds for clip in clips], device, batch_size)
    pictures, sounds, found = iter(zip(images, videos, strict=True)), iter(heard), []
    for clip, heard_alone in zip(clips, segments, strict=True):
        w, missing = len(clip.media.video_index), 0
        if clip.media.images is not None:
            image, video = next(pictures)
        else:
            missing |= NO_PICTURE
            per_window = 1 if isinstance(backbone, VideoBackbone) else backbone.frames_per_window
            image = np.zeros((len(clip.media.image_index), backbone.visual_dim), dtype=np.float32)
            video = np.zeros((w, per_window, backbone.visual_dim), dtype=np.float32)
        if clip.has_sound:
            audio = next(sounds)
            audio = audio if clip.sound_rows is None else _unit_means(audio, clip.sound_rows)
        else:
            missing |= NO_SOUND
            audio = np.zeros((w, backbone.audio_dim), dtype=np.float32)
        joint = np.zeros((0, 0), dtype=np.float32)
        if "joint" in arrays and isinstance(backbone, JointBackbone):
            joint = np.zeros((w, backbone.joint_dim), dtype=np.float32) if missing else next(joined)
        found.append(ClipEmbeddings(image, video, audio, missing, heard_alone, joint))
    return found


def _encode_pictures(
    backbone: Backbone, seen: Sequence[ClipInputs], device: torch.device, batch_size: int
) -> tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]]:
    """Images and windows of clips that have a picture."""
    frames = _encode(backbone.encode_frames, [clip.media.images for clip in seen], device, batch_size)
    images = [frame[clip.media.image_index] for frame, clip in zip(frames, seen, strict=True)]
    if isinstance(backbone, SharedViews):
        return images, [window[:, None] for window in _encode_views(backbone, seen, device, batch_size)]
    if isinstance(backbone, VideoBackbone):
        return images, [window[:, None] for window in _encode_windows(backbone, seen, device, batch_size)]
    return images, [frame[clip.media.video_index] for frame, clip in zip(frames, seen, strict=True)]


_Rows = list[NDArray[np.float32]]


def _encode_in_two_steps(
    backbone: TwoStep, clips: Sequence[ClipInputs], device: torch.device, batch_size: int, arrays: Collection[str]
) -> tuple[_Rows, _Rows, _Rows, Iterator[NDArray[np.float32]]]:
    """Images and windows of clips with a picture, windows of those with sound, and of those with both at once.

    Whether both at once are wanted changes no value of the others.
    """
    keep = "joint" in arrays
    with_picture = [number for number, clip in enumerate(clips) if clip.media.images is not None]
    waves = {number: clip.waves for number, clip in enumerate(clips) if clip.waves is not None}
    media = [clips[number].media for number in with_picture]
    seen = dict(zip(with_picture, look_at(backbone, media, device, batch_size, keep=keep), strict=True))
    heard = dict(zip(waves, listen_to(backbone, list(waves.values()), device, batch_size, keep=keep), strict=True))
    joined: _Rows = []
    if keep and isinstance(backbone, JointBackbone):
        both = [(seen[number], heard[number]) for number in range(len(clips)) if number in seen and number in heard]
        joined = join(backbone, both, batch_size)
    images, videos = [each.images for each in seen.values()], [each.windows[:, None] for each in seen.values()]
    return images, videos, [each.windows for each in heard.values()], iter(joined)


def _segments(
    backbone: Backbone, clips: Sequence[ClipInputs], device: torch.device, batch_size: int, arrays: Collection[str]
) -> list[NDArray[np.float32]]:
    """The sound of each clip's segments, in batches of their own: windows' are then the same with them and without."""
    if "audio_segments" not in arrays:
        return [np.zeros((0, backbone.audio_dim), dtype=np.float32) for _ in clips]
    if isinstance(backbone, TwoStep):
        waves = [clip.segment_waves for clip in clips if clip.segment_waves is not None]
        heard = iter([each.windows for each in listen_to(backbone, waves, device, batch_size, keep=False)])
    else:
        heard = iter(_encode(backbone.encode_audio, [clip.segment_sounds for clip in clips], device, batch_size))
    return [
        np.zeros((len(clip.media.image_index), backbone.audio_dim), dtype=np.float32)
        if clip.segment_sounds is None and clip.segment_waves is None
        else next(heard)
        for clip in clips
    ]


def _encode(
    encode: Callable[[Tensor], Tensor], parts: Sequence[Tensor | None], device: torch.device, batch_size: int
) -> list[NDArray[np.float32]]:
    """Rows of several clips through one encoder, given back clip by clip (but for those that have none)."""
    there = [part for part in parts if part is not None]
    if not there:
        return []
    rows = torch.cat([part.to(device, non_blocking=True) for part in there])
    found = torch.cat([encode(batch) for batch in torch.split(rows, batch_size)]).cpu()
    return [part.numpy() for part in torch.split(found, [len(part) for part in there])]


def _encode_windows(
    backbone: VideoBackbone, clips: Sequence[ClipInputs], device: torch.device, batch_size: int
) -> list[NDArray[np.float32]]:
    """The windows of several clips through a video encoder; each frame goes to the device once."""
    if not clips:
        return []
    table, rows = _frames_of(clips, device)
    flips = []
    for clip in clips:
        none = np.zeros(len(clip.media.video_index), dtype=np.bool_)
        flips.append(torch.from_numpy(none if clip.flips is None else clip.flips))
    index, mirrored = torch.from_numpy(rows).to(device), torch.cat(flips)
    found = []
    for at in range(0, len(index), step := max(1, batch_size // index.shape[1])):
        windows = table[index[at : at + step]]
        if (chosen := mirrored[at : at + step]).any():
            chosen = chosen.to(device)
            windows[chosen] = windows[chosen].flip(-1)
        found.append(backbone.encode_video(windows))
    embeddings = torch.cat(found).cpu()
    return [part.numpy() for part in torch.split(embeddings, [len(clip.media.video_index) for clip in clips])]


def _encode_views(
    backbone: SharedViews, clips: Sequence[ClipInputs], device: torch.device, batch_size: int
) -> list[NDArray[np.float32]]:
    """The windows of several clips as means of their views, each distinct one of which is encoded once."""
    if not clips:
        return []
    table, rows = _frames_of(clips, device)
    views = rows.reshape(len(rows), -1, backbone.frames_per_view)
    distinct, places = np.unique(views.reshape(-1, backbone.frames_per_view), axis=0, return_inverse=True)
    batches = torch.split(torch.from_numpy(distinct).to(device), batch_size)
    found = torch.cat([backbone.encode_video(table[batch]) for batch in batches]).cpu().numpy()
    windows = _unit_means(found, places.reshape(views.shape[:2]))
    return np.split(windows, np.cumsum([len(clip.media.video_index) for clip in clips])[:-1])


def _frames_of(clips: Sequence[ClipInputs], device: torch.device) -> tuple[Tensor, NDArray[np.int64]]:
    """The frames that the windows of clips take, on the device, and (all windows, F) rows of them."""
    parts, rows, first = [], [], 0
    for clip in clips:
        media = clip.media
        frames = media.images if media.videos is None else media.videos
        assert frames is not None
        parts.append(frames.to(device, non_blocking=True))
        rows.append(media.video_index + first)
        first += len(frames)
    return torch.cat(parts), np.concatenate(rows)


def _unit_means(vectors: NDArray[np.float32], index: NDArray[np.int64]) -> NDArray[np.float32]:
    """Means of unit vectors (k, D) at the rows of each line of an index (n, V), at unit length: (n, D)."""
    means = vectors[index].astype(np.float64).mean(axis=1)
    norms = np.linalg.norm(means, axis=1, keepdims=True)
    units: NDArray[np.float64] = means / np.maximum(norms, 1e-12)
    return units.astype(np.float32)

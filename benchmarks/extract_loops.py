"""What one would write without av2a: loops over clips and windows that give the same embeddings.

Both take the backbone's own preprocessing and encoders, one clip at a time, one window at a time, and may use all cores
inside an operation.
"""

from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from extract.backbones.base import Backbone, VideoBackbone
from extract.media.audio import read_sound
from extract.media.audio_windows import SoundWindows
from extract.media.sampling import frame_plan, sample_plan
from extract.run.encode import ClipEmbeddings
from feature_cache import windows


def file_by_window(backbone: Backbone, path: Path) -> ClipEmbeddings:
    """As the official code: for each window the file is opened again, its frames and its sound read from there."""
    with av.open(str(path)) as container:
        count = sum(1 for packet in container.demux(video=0) if packet.size)
    plan = frame_plan(count)
    image = _frames(backbone, _decoded(path, plan.frames[plan.image]))
    video, audio = [], []
    for row in range(len(windows())):
        video.append(_window(backbone, _decoded(path, plan.frames[plan.video[row]])))
        wave, rate = read_sound(path, backbone.sample_rate)
        audio.append(_heard(backbone, wave, rate, row))
    return _joined(image, video, audio)


def clip_at_once(backbone: Backbone, path: Path) -> ClipEmbeddings:
    """Kinder: every frame is decoded and kept, sound is read once, then window by window."""
    frames = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            frames.append(torch.from_numpy(frame.to_ndarray(format="rgb24")).permute(2, 0, 1))
    plan = frame_plan(len(frames))
    wave, rate = read_sound(path, backbone.sample_rate)
    image = _frames(backbone, [frames[number] for number in plan.frames[plan.image]])
    video, audio = [], []
    for row in range(len(windows())):
        video.append(_window(backbone, [frames[number] for number in plan.frames[plan.video[row]]]))
        audio.append(_heard(backbone, wave, rate, row))
    return _joined(image, video, audio)


def _decoded(path: Path, numbers: NDArray[np.int64]) -> list[Tensor]:
    """Frames of the given numbers, the file decoded from its beginning up to the last of them."""
    found: dict[int, Tensor] = {}
    wanted, last = {*numbers.tolist()}, int(numbers.max())
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number in wanted:
                found[number] = torch.from_numpy(frame.to_ndarray(format="rgb24")).permute(2, 0, 1)
            if number == last:
                break
    return [found[number] for number in numbers.tolist()]


def _frames(backbone: Backbone, frames: Sequence[Tensor]) -> Tensor:
    return backbone.encode_frames(backbone.prepare_frames(torch.stack([*frames]))).cpu()


def _window(backbone: Backbone, frames: Sequence[Tensor]) -> Tensor:
    if isinstance(backbone, VideoBackbone):
        return backbone.encode_video(backbone.prepare_video_frames(torch.stack([*frames]))[None]).cpu()
    return _frames(backbone, frames)


def _heard(backbone: Backbone, wave: Tensor, rate: int, row: int) -> Tensor:
    stretch = sample_plan(int(wave.shape[-1]), rate)[row]
    begin, end = (int(edge) for edge in stretch)
    alone = SoundWindows(wave[..., begin:end], np.array([[0, end - begin]]), rate)
    return backbone.encode_audio(backbone.prepare_audio(alone)).cpu()


def _joined(image: Tensor, video: list[Tensor], audio: list[Tensor]) -> ClipEmbeddings:
    return ClipEmbeddings(image.numpy(), torch.stack(video).numpy(), torch.cat(audio).numpy())

"""Scoring clips straight from their embeddings, with one setting.

Many settings need most of a clip's windows, so that a search makes all logits first (``score/logits.py``).
"""

from typing import Any, NamedTuple

import numpy as np

from score.kernels.from_logits import clip_room, score_clip, whole_probabilities
from score.kernels.jit import inner, lean
from score.kernels.probability import blend
from score.kernels.similarity import inner_products, neighbour_cosine, padded, widen
from score.kernels.window_logits import Source, begin_windows, window_room


class DirectRoom(NamedTuple):
    """Working room of one thread."""

    clip: Any  # ClipRoom
    images: Any  # float64 (T, Dv rounded up), zeros beyond Dv
    image: Any  # float64 (T, C)
    cosine: Any  # float64 (T - 1,)
    gram: Any  # float64 (T, T)
    order: Any  # int64 (T,), 0, 1, 2 ...
    video: Any  # WindowRoom
    audio: Any  # WindowRoom
    audio_logits: Any  # float64 (W, C), the logits of ``audio``


def direct_room(labels: int, segments: int, windows: int, frames: int, visual_dim: int, audio_dim: int) -> DirectRoom:
    """Room for scoring clip after clip; ``windows`` may be 1, if they are pooled."""
    audio = window_room(labels, windows, 1, audio_dim)
    return DirectRoom(
        clip_room(labels, segments),
        np.zeros((segments, padded(visual_dim))),
        np.zeros((segments, labels)),
        np.zeros(segments - 1),
        np.zeros((segments, segments)),
        np.arange(segments, dtype=np.int64),
        window_room(labels, windows, frames, visual_dim),
        audio,
        audio.logits[:, 0],
    )


@inner
def pick_labels(setting: Any, room: Any) -> None:
    """Labels that a stream of picture and a stream of sound keep (4.2): no other logits will be needed."""
    video, audio = room.video, room.audio
    video.count[0] = 0
    audio.count[0] = 0
    for c in range(room.clip.everything.shape[0]):
        visual, sound = room.clip.whole_visual[c], room.clip.whole_audio[c]
        every = not setting.label_selection
        both = not setting.late and blend(setting.alpha, visual, sound) > setting.filter_threshold
        if every or both or visual > setting.filter_threshold:
            video.picks[video.count[0]] = c
            video.count[0] += 1
        if every or both or sound > setting.filter_threshold:
            audio.picks[audio.count[0]] = c
            audio.count[0] += 1


@lean
def score_embeddings(
    image: Any,
    video: Any,
    audio: Any,
    missing: Any,
    text_visual: Any,
    text_audio: Any,
    setting: Any,
    alphabet: Any,
    room: Any,
    found: Any,
) -> None:
    """Score n clips.

    Args:
        image: uint16 (float16 as bits) or float32 (n, T, Dv), C-contiguous.
        video: the same (n, W, F, Dv).
        audio: the same (n, W, 1, Da).
        missing: uint8 (n,), 0, NO_PICTURE or NO_SOUND.
        text_visual: float32 (C, Dv rounded up to whole lanes).
        text_audio: float32 (C, Da rounded up).
        setting: Setting.
        alphabet: int64 (C,), labels in alphabetical order, for late fusion.
        room: DirectRoom, working room.
        found: Found, written.
    """
    segments = image.shape[1]
    for i in range(image.shape[0]):
        begin_windows(video[i], text_visual, room.video)
        begin_windows(audio[i], text_audio, room.audio)
        whole_probabilities(
            room.video.logits,
            room.audio_logits,
            room.clip.everything,
            room.clip.spare,
            room.clip.whole_visual,
            room.clip.whole_audio,
        )
        pick_labels(setting, room)
        for t in range(segments):
            widen(image[i, t], room.images[t])
        inner_products(room.images, segments, text_visual, room.video.picks, room.video.count[0], room.image)
        neighbour_cosine(room.images, room.order, room.gram, room.cosine)
        source = Source(video[i], audio[i], text_visual, text_audio, room.video, room.audio)
        score_clip(
            room.image,
            room.video.logits,
            room.audio_logits,
            room.audio_logits[:1],
            False,
            room.cosine,
            missing[i],
            source,
            setting,
            alphabet,
            room.clip,
            found,
            i,
        )

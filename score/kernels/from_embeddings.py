"""Scoring clips straight from their embeddings, with one setting.

Many settings need most of a clip's windows, so that a search makes all logits first (``score/logits.py``).
"""

from typing import NamedTuple

import numpy as np

from score.kernels.from_logits import (
    ClipEvents,
    ClipWorkspace,
    Setting,
    clip_workspace,
    score_clip,
    whole_probabilities,
)
from score.kernels.jit import inner, lean
from score.kernels.probability import blend
from score.kernels.similarity import inner_products, neighbour_cosine, padded, widen
from score.kernels.types import F32, F64, I64, U8, Embeddings
from score.kernels.window_logits import Source, WindowWorkspace, begin_windows, window_workspace


class EmbeddingsWorkspace(NamedTuple):
    """Workspace of one thread."""

    clip: ClipWorkspace
    images: F64  # (T, Dv rounded up), zeros beyond Dv
    image: F64  # (T, C)
    cosine: F64  # (T - 1,)
    gram: F64  # (T, T)
    order: I64  # (T,), 0, 1, 2 ...
    video: WindowWorkspace
    audio: WindowWorkspace
    audio_logits: F64  # (W, C), the logits of ``audio``


def embeddings_workspace(
    labels: int, segments: int, windows: int, frames: int, visual_dim: int, audio_dim: int
) -> EmbeddingsWorkspace:
    """A workspace for scoring clip after clip; ``windows`` may be 1, if they are pooled."""
    audio = window_workspace(labels, windows, 1, audio_dim)
    return EmbeddingsWorkspace(
        clip=clip_workspace(labels, segments),
        images=np.zeros((segments, padded(visual_dim))),
        image=np.zeros((segments, labels)),
        cosine=np.zeros(segments - 1),
        gram=np.zeros((segments, segments)),
        order=np.arange(segments, dtype=np.int64),
        video=window_workspace(labels, windows, frames, visual_dim),
        audio=audio,
        audio_logits=audio.logits[:, 0],
    )


@inner
def pick_labels(setting: Setting, workspace: EmbeddingsWorkspace) -> None:
    """Labels that a stream of picture and a stream of sound keep (4.2): no other logits will be needed."""
    video, audio = workspace.video, workspace.audio
    video.picked[0] = 0
    audio.picked[0] = 0
    for c in range(workspace.clip.all_labels.shape[0]):
        visual, sound = workspace.clip.whole_visual[c], workspace.clip.whole_audio[c]
        every = not setting.label_selection
        both = not setting.late and blend(setting.alpha, visual, sound) > setting.filter_threshold
        if every or both or visual > setting.filter_threshold:
            video.picks[video.picked[0]] = c
            video.picked[0] += 1
        if every or both or sound > setting.filter_threshold:
            audio.picks[audio.picked[0]] = c
            audio.picked[0] += 1


@lean
def score_embeddings(
    image: Embeddings,
    video: Embeddings,
    audio: Embeddings,
    missing: U8,
    text_visual: F32,
    text_audio: F32,
    setting: Setting,
    label_order: I64,
    workspace: EmbeddingsWorkspace,
    events: ClipEvents,
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
        label_order: int64 (C,), labels in alphabetical order, for late fusion.
        workspace: EmbeddingsWorkspace, overwritten.
        events: ClipEvents, written.
    """
    segments = image.shape[1]
    for i in range(image.shape[0]):
        begin_windows(video[i], text_visual, workspace.video)
        begin_windows(audio[i], text_audio, workspace.audio)
        whole_probabilities(
            workspace.video.logits,
            workspace.audio_logits,
            workspace.clip.all_labels,
            workspace.clip.spare,
            workspace.clip.whole_visual,
            workspace.clip.whole_audio,
        )
        pick_labels(setting, workspace)
        for t in range(segments):
            widen(image[i, t], workspace.images[t])
        inner_products(
            workspace.images, segments, text_visual, workspace.video.picks, workspace.video.picked[0], workspace.image
        )
        neighbour_cosine(workspace.images, workspace.order, workspace.gram, workspace.cosine)
        source = Source(
            video=video[i],
            audio=audio[i],
            text_visual=text_visual,
            text_audio=text_audio,
            video_workspace=workspace.video,
            audio_workspace=workspace.audio,
        )
        score_clip(
            workspace.image,
            workspace.video.logits,
            workspace.audio_logits,
            workspace.audio_logits[:1],
            False,
            workspace.cosine,
            missing[i],
            source,
            setting,
            label_order,
            workspace.clip,
            events,
            i,
        )

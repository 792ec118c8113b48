"""Scoring clips straight from their embeddings, with one setting.

Many settings need most of a clip's windows, so that a search makes all logits first (``score/logits.py``).
"""

from typing import Any, NamedTuple

import numpy as np

from score.kernels.clips import ClipRoom, score_clip
from score.kernels.decks import Clip
from score.kernels.jit import lean
from score.kernels.probability import standardise, standardise_frames
from score.kernels.similarity import inner_products, neighbour_cosine, padded, widen
from score.kernels.windows import Source, WindowRoom, begin_windows, window_room


class DirectRoom(NamedTuple):
    """Working room of one thread."""

    clip: Any  # ClipRoom
    images: Any  # float64 (T, Dv rounded up), zeros beyond Dv
    image: Any  # float64 (T, C)
    cosine: Any  # float64 (T - 1,)
    gram: Any  # float64 (T, T)
    video: Any  # WindowRoom
    audio: Any  # WindowRoom

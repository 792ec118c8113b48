"""Features: what a cache holds of some clips, in memory."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Features:
    """Embeddings or probabilities of n clips, in the cache's dtype.

    Attributes:
        rows: int64 (n,), the clips' rows in the cache.
        image: (n, T, Dv), one frame a segment; Dv = 0 where there are none.
        video: (n, W, F, Dv), the frames (or the one embedding) of each window that is kept; W may be 1 (the whole
            clip) or 0.
        audio: (n, W, Da), one embedding a window that is kept; W may be 1 or 0.
        missing: uint8 (n,), 0, NO_PICTURE or NO_SOUND; the rows of what is missing are zeros. None: nothing is.
        audio_segments: (n, T, Da), one embedding a segment; None where there are none.
        joint: (n, W, Dj), of each window that is kept one embedding of picture and sound at once, zeros where a clip
            lacks either; None where there are none.
        visual_probability: (n, T, C) in [0, 1], of a detector; None in a cache of embeddings.
        audio_probability: (n, T, C), likewise.
    """

    rows: NDArray[np.int64]
    image: NDArray[Any]
    video: NDArray[Any]
    audio: NDArray[Any]
    missing: NDArray[np.uint8] | None = None
    audio_segments: NDArray[Any] | None = None
    joint: NDArray[Any] | None = None
    visual_probability: NDArray[Any] | None = None
    audio_probability: NDArray[Any] | None = None

    def __len__(self) -> int:
        """Number of clips."""
        return len(self.rows)

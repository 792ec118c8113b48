"""Fourier transforms that the windows of one waveform share.

The windows of a clip overlap, and short ones are repeated to fill an encoder's input: of the 46,000
spectral frames of 46 windows only some thousand differ. Here it is worked out which.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class SharedFrames:
    """Which spectral frames n windows consist of.

    A frame is a run of ``size`` samples. The table of frames holds: those that begin at ``starts`` in the
    waveform, then those of ``samples``, then one of silence.

    Attributes:
        starts: int64 (k,), sorted.
        samples: int64 (m, size), positions in the waveform, -1 for silence: frames that meet a window's
            edge or a seam between repetitions.
        index: int64 (n, frames), row of the table.
    """

    starts: NDArray[np.int64]
    samples: NDArray[np.int64]
    index: NDArray[np.int64]


def share_frames(stretches: NDArray[np.int64], window: int, size: int, hop: int) -> SharedFrames:
    """Work out the frames of windows that are repeated whole times and filled with silence, or cut.

    The rules are those of :func:`extract.backbones.clip_clap.log_mel.fit_window` and of a centred transform with
    reflected edges.

    Args:
        stretches: int64 (n, 2), begin and end of each window in the waveform.
        window: samples to which each is brought.
        size: samples of one transform.
        hop: samples between two transforms.
    """
    begin, length = stretches[:, :1], stretches[:, 1:] - stretches[:, :1]
    begin = begin + np.maximum(0, length - window) // 2
    length = np.minimum(length, window)
    filled = window // np.maximum(length, 1) * length  # samples that are not silence
    at = np.arange(window // hop + 1) * hop - size // 2
    inside = at % np.maximum(length, 1)  # place in the repetition
    plain = (at >= 0) & (at + size <= filled) & (inside + size <= length)
    lowest = np.minimum(at, 2 * (window - 1) - (at + size - 1))  # of the samples, edges reflected
    silent = lowest >= filled
    index = np.empty(plain.shape, dtype=np.int64)
    starts, index[plain] = np.unique((begin + inside)[plain], return_inverse=True)
    other = ~plain & ~silent
    index[other] = len(starts) + np.arange(other.sum())
    index[silent] = len(starts) + other.sum()
    row, column = np.nonzero(other)
    time = np.abs(at[column, None] + np.arange(size))
    time = np.where(time >= window, 2 * (window - 1) - time, time)
    samples = begin[row] + time % np.maximum(length[row], 1)
    samples[time >= filled[row]] = -1
    return SharedFrames(starts.astype(np.int64), samples, index)


def gather(wave: Tensor, frames: SharedFrames, size: int) -> Tensor:
    """The table of frames: (k + m + 1, size), of the waveform's type and device."""
    starts = torch.from_numpy(frames.starts).to(wave.device)
    table = wave.new_zeros((len(frames.starts) + len(frames.samples) + 1, size))
    if len(starts):
        torch.index_select(wave.unfold(0, size, 1), 0, starts, out=table[: len(starts)])
    if len(frames.samples):
        places = torch.from_numpy(frames.samples).to(wave.device)
        padded = torch.cat([wave, wave.new_zeros(1)])  # -1 is the silence at the end
        table[len(starts) : -1] = padded[places]
    return table

"""Sound to what ImageBind's audio encoder takes: log-mel spectrograms of two seconds (docs/design.md 5)."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from extract.backbones.imagebind.views import SECONDS, SOUNDS, sound_cuts
from extract.backbones.language_bind.kaldi_fbank import FRAME, RATE, fbank
from extract.backbones.language_bind.sinc_resample import resample
from extract.media.audio_windows import SoundWindows

_MEAN, _DIVISOR = -4.268, 9.138


@dataclass(frozen=True)
class SharedCuts:
    """The clips that n stretches are heard in.

    Attributes:
        views: float32 (k, 1, bands, frames), each distinct one once.
        index: int64 (n, 3), rows of ``views``.
    """

    views: Tensor
    index: NDArray[np.int64]


def window_inputs(waves: SoundWindows, bands: int = 128, target: int = 204) -> SharedCuts:
    """Each stretch as a file of its own would be heard: in three clips of two seconds.

    The whole waveform is resampled once, with all channels; the clips are cut from that.

    Args:
        waves: stretches with a rate.
        bands: mel bands.
        target: spectrogram frames that the encoder sees.
    """
    wave, places = _at_16k(waves)
    cuts = np.stack([sound_cuts(end - begin, RATE) + begin for begin, end in places.tolist()])
    distinct, index = np.unique(cuts.reshape(-1, 2), axis=0, return_inverse=True)
    views = torch.stack([spectrogram(wave[:, begin:end], bands, target) for begin, end in distinct.tolist()])
    return SharedCuts(views, index.reshape(-1, SOUNDS).astype(np.int64))


def segment_inputs(waves: SoundWindows, seconds: float, bands: int = 128, target: int = 204) -> Tensor:
    """Each segment as OV-AVEL's baseline hears it: filled up with silence, then repeated to two seconds.

    Segments of two seconds or more are heard as windows are.

    Args:
        waves: stretches with a rate, which may be cut at the waveform's end.
        seconds: length of a segment.
        bands: mel bands.
        target: spectrogram frames that the encoder sees.

    Returns:
        float32 (n, 1 or 3, 1, bands, target).
    """
    wave, places = _at_16k(waves)
    length, full = max(1, int(seconds * RATE)), SECONDS * RATE
    found = []
    for begin, end in places.tolist():
        sound = wave[:, begin : min(end, begin + length)]
        sound = functional.pad(sound, (0, length - int(sound.shape[1])))
        if length < full:
            cuts = [sound.repeat(1, -(-full // length))[:, :full]]
        else:
            cuts = [sound[:, first:last] for first, last in sound_cuts(length, RATE).tolist()]
        found.append(torch.stack([spectrogram(cut, bands, target) for cut in cuts]))
    return torch.stack(found)


def spectrogram(wave: Tensor, bands: int = 128, target: int = 204) -> Tensor:
    """Channel 0 of a clip as the encoder takes it.

    The mean over channels and samples is taken off a copy (the reference writes it into the waveform, where clips
    overlap). What is short of a frame of 25 ms is filled with silence (the reference fails there), what is short of
    ``target`` frames with zeros.

    Args:
        wave: float32 (channels, samples) at 16 kHz.
        bands: mel bands.
        target: frames to reach.

    Returns:
        float32 (1, bands, target).
    """
    if wave.shape[-1] < FRAME:
        wave = functional.pad(wave, (0, FRAME - int(wave.shape[-1])))
    mel = fbank(wave[0] - wave.mean(), bands)[:target].T
    filled = functional.pad(mel, (0, target - int(mel.shape[1])))
    return filled[None].sub(_MEAN).div_(_DIVISOR)


def _at_16k(waves: SoundWindows) -> tuple[Tensor, NDArray[np.int64]]:
    """The whole waveform at 16 kHz, float32 (channels, samples), and where the stretches lie in it.

    Raises:
        TypeError: stretches that do not say their rate.
    """
    if waves.rate is None:
        raise TypeError("imagebind needs SoundWindows with a rate: it hears sound at the file's own")
    wave = waves.wave if waves.wave.ndim == 2 else waves.wave[None]
    samples = int(wave.shape[1])
    found = resample(wave, waves.rate, RATE) if samples else wave
    places = np.where(waves.stretches == samples, int(found.shape[1]), waves.stretches * RATE // waves.rate)
    return found, places.astype(np.int64)

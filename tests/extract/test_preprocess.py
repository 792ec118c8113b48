"""Frames to pixels and sound to log-mel, against the official transforms' outputs."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional

from extract.backbones.clip_clap.log_mel import LogMel, MelConfig, fit_window, slaney_filters
from extract.backbones.pixels import fit_frames, normalise, resized_shape
from tests.spectra import HALF_UNIT, Bands

GOLDEN = Path(__file__).parents[1] / "golden" / "clip_clap"
FRAMES = np.load(GOLDEN / "preprocess.npz")
SOUNDS = np.load(GOLDEN / "logmel.npz")


@pytest.mark.parametrize("size", sorted(name.split("_")[0] for name in FRAMES.files if "frames" in name))
@pytest.mark.parametrize("layout", ["planar", "interleaved"])
def test_pixels_equal_the_official_ones(size: str, layout: str) -> None:
    frames = torch.from_numpy(FRAMES[f"{size}_frames"]).permute(0, 3, 1, 2)
    if layout == "planar":
        frames = frames.contiguous()
    expected = FRAMES[f"{size}_uint8_after_crop"].astype(int)
    found = fit_frames(frames, 224).numpy().astype(int)
    may_differ = on_the_edge(frames, 224)
    assert may_differ.mean() < 0.05
    wrong = np.abs(found - expected) > may_differ
    assert not wrong.any()
    faulty = np.abs(np.clip(np.round(1.01 * found), 0, 255) - expected) > may_differ
    seen = (expected > 50) & (expected < 253) & ~may_differ  # where 1 % is half a step and there is room for it
    assert seen.any(axis=(1, 2, 3)).all()
    assert faulty[seen].all()


def on_the_edge(frames: torch.Tensor, size: int) -> NDArray[np.bool_]:
    """Where a pixel's exact value lies so near a half that float32 may round it up or down.

    A coordinate of up to `side` pixels is rounded by half a unit, and over a pixel a picture changes by 255 at most;
    the sums over two axes add a rounding for each of some taps.
    """
    height, width = int(frames.shape[2]), int(frames.shape[3])
    shape = resized_shape(height, width, size)
    if (height, width) == shape:
        exact = frames.double()
    else:
        exact = functional.interpolate(frames.double(), shape, mode="bicubic", antialias=True)
    top, left = (round((side - size) / 2) for side in shape)
    cut = exact[:, :, top : top + size, left : left + size].numpy()
    bound = 255 * HALF_UNIT * (max(height, width) + 16)
    near: NDArray[np.bool_] = np.abs(cut - np.floor(cut) - 0.5) <= bound
    return near


def test_frames_one_by_one_equal_frames_together() -> None:
    frames = torch.from_numpy(FRAMES["240x320_frames"]).permute(0, 3, 1, 2)
    single = torch.cat([fit_frames(frame[None], 64) for frame in frames])
    assert torch.equal(single, fit_frames(frames, 64))


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [(240, 320, (224, 298)), (320, 180, (398, 224)), (224, 224, (224, 224)), (2, 1000, (224, 112_000))],
)
def test_resized_shape(height: int, width: int, expected: tuple[int, int]) -> None:
    assert resized_shape(height, width, 224) == expected


@pytest.mark.parametrize("frames", [torch.zeros(1, 3, 8, 8), torch.zeros(3, 8, 8, dtype=torch.uint8)])
def test_frames_of_another_type_are_refused(frames: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="must be uint8"):
        fit_frames(frames, 8)


def test_normalise() -> None:
    frames = torch.tensor([0, 255, 51], dtype=torch.uint8).view(1, 3, 1, 1)
    found = normalise(frames, (0.5, 0.5, 0.2), (0.5, 0.25, 1.0)).view(-1)
    assert found.tolist() == pytest.approx([-1.0, 2.0, 0.0])
    assert found.dtype == torch.float32


@pytest.mark.parametrize("name", sorted(name.removesuffix("_wave") for name in SOUNDS.files if "wave" in name))
def test_log_mel_equals_the_official_one(name: str) -> None:
    config = MelConfig()
    wave = fit_window(torch.from_numpy(SOUNDS[f"{name}_wave"]), config.window_samples)
    found = LogMel(config)(wave[None])[0].numpy()
    expected = SOUNDS[f"{name}_mel"]
    assert found.shape == (1001, 64)
    assert found.dtype == np.float32
    size = config.fft_size
    frames = functional.pad(wave[None, None].double(), (size // 2, size // 2), mode="reflect")[0, 0]
    norms = (frames.unfold(0, size, config.hop) * torch.hann_window(size, dtype=torch.float64)).norm(dim=1)
    bands = Bands(slaney_filters(config).double().sum(0).numpy(), norms.numpy(), size)
    bands.check(*(10 ** (mel.astype(np.float64) / 20) for mel in (found, expected)))


def test_log_mel_does_not_depend_on_the_batch() -> None:
    config = MelConfig(window_samples=48_000)
    waves = torch.randn(9, 48_000, generator=torch.Generator().manual_seed(0))
    log_mel = LogMel(config)
    together = log_mel(waves)
    assert together.shape == (9, 101, 64)
    torch.testing.assert_close(torch.cat([log_mel(wave[None]) for wave in waves]), together)


def test_silence_is_the_floor() -> None:
    found = LogMel(MelConfig())(torch.zeros(1, 4800))
    assert torch.equal(found, torch.full((1, 11, 64), -100.0))


def test_filters() -> None:
    """A band at a time, in Python's own float64: its rounding to float32 is all that may differ."""
    config = MelConfig()
    found = slaney_filters(config).double().numpy()
    low, high = config.lowest * 3 / 200, 15 + 27 * math.log(config.highest / 1000) / math.log(6.4)
    mels = [low + (high - low) * k / 65 for k in range(66)]
    edges = [mel * 200 / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27) for mel in mels]
    expected = np.zeros((513, 64))
    for band, (left, centre, right) in enumerate(zip(edges, edges[1:], edges[2:], strict=False)):
        for place in range(513):
            hertz = place * 48_000 / 1024
            side = min((hertz - left) / (centre - left), (right - hertz) / (right - centre))
            expected[place, band] = max(side, 0) * 2 / (right - left)
    bound = 2 * HALF_UNIT * expected + 1e-12  # at an edge a difference of equal numbers is left
    assert (np.abs(found - expected) <= bound).all()
    assert (np.abs(1.01 * found - expected) > bound)[expected > 1e-9].all()


def test_filters_have_unit_area() -> None:
    config = MelConfig(fft_size=65_536)
    area = slaney_filters(config).sum(0) * config.sample_rate / config.fft_size
    assert area.tolist() == pytest.approx([1.0] * 64, rel=1e-2)


@pytest.mark.parametrize(
    ("length", "samples", "expected"),
    [
        (2, 6, [0, 1, 0, 1, 0, 1]),
        (3, 7, [0, 1, 2, 0, 1, 2, 0]),
        (4, 6, [0, 1, 2, 3, 0, 0]),
        (5, 5, [0, 1, 2, 3, 4]),
        (8, 5, [1, 2, 3, 4, 5]),
        (9, 5, [2, 3, 4, 5, 6]),
        (0, 3, [0, 0, 0]),
    ],
)
def test_fit_window(length: int, samples: int, expected: list[int]) -> None:
    padded = fit_window(torch.arange(length, dtype=torch.float32), samples)
    assert padded.tolist() == [float(value) for value in expected]


def test_mel_config_of_a_checkpoint() -> None:
    stored = {
        "sampling_rate": 48_000, "max_length_s": 10, "fft_window_size": 1024, "hop_length": 480,
        "feature_size": 64, "frequency_max": 14_000,
    }  # fmt: skip
    assert MelConfig.from_preprocessor({**stored, "frequency_min": 50}) == MelConfig()
    assert MelConfig.from_preprocessor({**stored, "frequency_min": 0}).lowest == 0
    assert MelConfig.from_preprocessor(stored).lowest == 50
    assert math.isclose(MelConfig.from_preprocessor(stored).highest, 14_000)
    with pytest.raises(KeyError):
        MelConfig.from_preprocessor({"sampling_rate": 48_000})

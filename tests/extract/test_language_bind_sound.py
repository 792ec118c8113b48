"""LanguageBind's sound: resampling, spectrograms and fused inputs against the official ones, and odd lengths."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from extract.backbones.language_bind import sinc_resample
from extract.backbones.language_bind.kaldi_fbank import FRAME, HOP, RATE, fbank, filter_bank, frame_count, window
from extract.backbones.language_bind.sinc_resample import _taps, resample
from extract.backbones.language_bind.spectrograms import fused, window_inputs
from extract.media.sampling import sample_plan
from tests.spectra import HALF_UNIT, Bands

GOLDEN = Path(__file__).parents[1] / "golden" / "language_bind"
META = json.loads((GOLDEN / "audio_meta.json").read_text())
CASES = sorted(set(META) & {path.stem.removeprefix("audio_") for path in GOLDEN.glob("audio_*.npz")})


def load(case: str) -> tuple[torch.Tensor, int, dict[str, NDArray[Any]]]:
    golden = dict(np.load(GOLDEN / f"audio_{case}.npz"))
    wave = torch.from_numpy(golden["waveform_int16"].astype(np.float32) / 32768)
    return wave.reshape(-1, wave.shape[-1]), int(golden["sr"]), golden


def spectrogram(wave: torch.Tensor, rate: int) -> tuple[torch.Tensor, Bands]:
    """Of channel 0 as a window is prepared, and what bounds its error."""
    resampled = resample(wave, rate, RATE)
    sound = (resampled - resampled.mean())[0]
    frames = sound.double().unfold(0, FRAME, HOP)
    norms = (frames - frames.mean(dim=1, keepdim=True)).norm(dim=1)
    return fbank(sound), Bands(filter_bank().double().sum(1).numpy(), norms.numpy(), 512)


def amplitudes(mel: NDArray[np.float32]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.exp(mel.astype(np.float64) / 2)
    return found


def test_cases() -> None:
    assert len(CASES) >= 7
    assert {META[case]["sr"] for case in CASES} >= {16_000, 44_100}


def test_filter_bank() -> None:
    """Equal on every machine: nothing but sums, products and a logarithm rounded once goes into it."""
    expected = np.load(GOLDEN / "audio_filterbank.npz")["mel_banks_112x256"]
    found = filter_bank(112).numpy()
    np.testing.assert_array_equal(found, expected)
    assert (found * np.float32(1.01) != expected)[expected > 0].all()


def test_window() -> None:
    """The official cosine is the other neighbour of the exact one in a few places: a unit of numbers below 1."""
    expected = np.load(GOLDEN / "audio_filterbank.npz")["window_400"]
    found = window().numpy()
    assert np.abs(found - expected).max() <= HALF_UNIT
    assert (np.abs(1.01 * found - expected) > HALF_UNIT)[expected > 0].all()


EVERY = 7


def plain_taps(old: int, new: int) -> list[list[float]]:
    """The filter of every seventh phase, a tap at a time: float32 at every step, sine and cosine rounded once."""
    single = np.float32
    base = 0.99 * min(old, new)
    width = math.ceil(6 * old / base)
    filters = []
    for phase in range(0, new, EVERY):
        taps = []
        for place in range(-width, width + old):
            time = (single(-phase) / single(new) + single(place) / single(old)) * single(base)
            angle = min(max(time, single(-6)), single(6)) * single(math.pi)
            hann = single(math.cos(float(angle / single(6) / single(2)))) ** 2
            sinc = single(math.sin(float(angle))) / angle if angle else single(1)
            taps.append(float(sinc * (hann * single(base / old))))
        filters.append(taps)
    return filters


@pytest.mark.parametrize(("old", "new"), [(441, 160), (3, 1), (2, 1), (1, 2)])
def test_taps(old: int, new: int) -> None:
    """Another library's sine may round a tap to its neighbour; the window is a square, which doubles that."""
    found, expected = _taps(old, new)[::EVERY, 0].double().numpy(), np.array(plain_taps(old, new))
    bound = 4 * 2 * HALF_UNIT * np.abs(expected)
    assert (np.abs(found - expected) <= bound).all()
    assert (np.abs(1.01 * found - expected) > bound)[expected != 0].all()


@pytest.mark.parametrize("case", CASES)
def test_resampling(case: str) -> None:
    """The head's samples, of full scale 1, are sums of products: a few roundings of the sum, whatever its order."""
    wave, rate, golden = load(case)
    resampled = resample(wave, rate, RATE)
    if rate == RATE:
        assert resampled is wave
        return
    assert resampled.shape[-1] == golden["resampled_len"]
    head = golden["resampled_head"].reshape(len(wave), -1)
    found = resampled[:, : head.shape[1]].numpy()
    assert np.abs(found - head).max() <= 5 * HALF_UNIT
    loud = np.abs(head) > 0.01
    assert loud.mean() > 0.5
    assert (np.abs(1.01 * found - head) > 5 * HALF_UNIT)[loud].all()


@pytest.mark.parametrize("case", CASES)
def test_spectrograms(case: str) -> None:
    wave, rate, golden = load(case)
    mel, bands = spectrogram(wave, rate)
    assert len(mel) == META[case]["mel_frames"]
    bands.check(amplitudes(mel.numpy()), amplitudes(golden["mel"]))


@pytest.mark.parametrize("case", CASES)
def test_inputs_with_the_official_choices(case: str) -> None:
    """What the official code draws after np.random.seed(1234), drawn from a generator of that seed.

    It is drawn from the official spectrogram: a difference and a quotient, each rounded once on every machine. Ours
    goes the same way.
    """
    wave, rate, golden = load(case)
    before = wave.clone()
    stretch = np.array([[0, wave.shape[-1]]])

    def drawn(mel: torch.Tensor) -> torch.Tensor:
        return fused(mel, random=np.random.RandomState(1234)).sub(-4.2677393).div(2 * 4.5689974)

    official = drawn(torch.from_numpy(golden["mel"])).numpy()
    channel, mel, time = golden["fused_sample_idx"].T
    assert np.abs(official[channel, mel, time] - golden["fused_sample_val"]).max() <= 4 * HALF_UNIT
    found = window_inputs(wave, rate, stretch, random=np.random.RandomState(1234))[0]
    assert found.shape == (3, 112, 1036)
    assert torch.equal(found, drawn(spectrogram(wave, rate)[0]))
    assert torch.equal(wave, before)  # the official code writes into the waveform
    if not META[case]["choice_calls"]:
        assert torch.equal(window_inputs(wave, rate, stretch)[0], found)


def test_windows_are_cut_where_the_official_code_cuts() -> None:
    for case in json.loads((GOLDEN / "audio_crops.json").read_text()):
        if case["end"] - case["start"] < 2 or case["end"] > 10:
            continue  # no window of ours
        row = 1 + [(s, e) for s in range(9) for e in range(s + 2, 11)].index((case["start"], case["end"]))
        begin, end = sample_plan(case["n"], case["sr"])[row]
        assert (begin, end - begin) == (case["first"], case["length"]), case


def test_each_window_by_itself() -> None:
    wave = torch.randn(2, 44_100 * 3, generator=torch.Generator().manual_seed(1))
    stretches = np.array([[0, 132_300], [44_100, 132_300], [88_200, 132_300]])
    found = window_inputs(wave, 44_100, stretches)
    for row, (begin, end) in zip(found, stretches, strict=True):
        assert torch.equal(row, window_inputs(wave[:, begin:end], 44_100, np.array([[0, end - begin]]))[0])


def test_long_sound_without_chance() -> None:
    mel = torch.arange(1100.0)[:, None].repeat(1, 4)
    assert [int(part[0, 0]) for part in fused(mel)] == [0, 32, 64]
    assert fused(mel).shape == (3, 4, 1036)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 1200))
def test_short_sound_is_repeated(frames: int) -> None:
    mel = torch.arange(float(frames))[:, None]
    found = fused(mel)
    if frames <= 1036:
        assert torch.equal(found[0, 0], torch.arange(1036) % frames)
        assert torch.equal(found[0], found[2])
    assert found.shape == (3, 1, 1036)


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from([8000, 11_025, 12_000, 22_050, 32_000, 44_100, 44_099, 48_000, 96_000, 7, 15_991]),
    st.integers(0, 2000),
)
def test_any_rate_and_length(rate: int, samples: int) -> None:
    samples = min(samples, rate)
    found = resample(torch.ones(2, samples), rate, 16_000)
    assert found.shape == (2, -(-samples * 16_000 // rate))
    margin = 8 * max(1, -(-16_000 // rate))
    inside = found[:, margin:-margin]
    if inside.numel() and samples > 64:
        torch.testing.assert_close(inside, torch.ones_like(inside), atol=2e-2, rtol=0)


@pytest.mark.parametrize("rate", [8000, 44_100, 48_000])
def test_taps_of_each_sample_are_those_of_the_phases(rate: int, monkeypatch: pytest.MonkeyPatch) -> None:
    wave = torch.randn(2, 5000, generator=torch.Generator().manual_seed(2))
    expected = resample(wave, rate, 16_000)
    monkeypatch.setattr(sinc_resample, "_MANY_PHASES", 0)
    torch.testing.assert_close(resample(wave, rate, 16_000), expected, atol=5e-5, rtol=0)


@pytest.mark.parametrize("samples", [0, 1, 200, 399, 400, 559, 560])
@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_hardly_any_sound(samples: int, rate: int) -> None:
    for wave in (torch.zeros(1, samples), torch.ones(2, samples), torch.full((1, samples), 1e6)):
        found = window_inputs(wave, rate, np.array([[0, samples], [samples, samples]]))
        assert torch.isfinite(found).all()
        floor = (np.log(np.finfo(np.float32).eps) + 4.2677393) / (2 * 4.5689974)
        torch.testing.assert_close(found[1], torch.full_like(found[1], float(floor)))


def test_frame_count() -> None:
    assert [frame_count(n) for n in (0, 399, 400, 559, 560, 160_000)] == [0, 0, 1, 1, 2, 998]
    assert fbank(torch.zeros(399)).shape == (0, 112)


def test_rates_below_one() -> None:
    with pytest.raises(ValueError, match="rates must be at least 1 Hz, got 0 and 16000"):
        resample(torch.zeros(1, 4), 0, 16_000)

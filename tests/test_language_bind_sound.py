"""LanguageBind's sound: resampling, spectrograms and fused inputs against the official ones, and odd lengths."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from extract import sinc_resample
from extract.kaldi_fbank import fbank, filter_bank, frame_count
from extract.language_bind_sound import fused, window_inputs
from extract.sampling import sample_plan
from extract.sinc_resample import resample

GOLDEN = Path(__file__).parent / "golden" / "language_bind"
META = json.loads((GOLDEN / "audio_meta.json").read_text())
CASES = sorted(set(META) & {path.stem.removeprefix("audio_") for path in GOLDEN.glob("audio_*.npz")})


def load(case: str) -> tuple[torch.Tensor, int, dict[str, NDArray[Any]]]:
    golden = dict(np.load(GOLDEN / f"audio_{case}.npz"))
    wave = torch.from_numpy(golden["waveform_int16"].astype(np.float32) / 32768)
    return wave.reshape(-1, wave.shape[-1]), int(golden["sr"]), golden


def tolerance(case: str, rate: int) -> float:
    """Near-silent bands of clean tones show every rounding of the resampler."""
    if rate == 16_000:
        return 1e-3
    return 5e-2 if "sweep" in case else 2e-3


def test_cases() -> None:
    assert len(CASES) >= 7
    assert {META[case]["sr"] for case in CASES} >= {16_000, 44_100}


def test_filter_bank() -> None:
    golden = np.load(GOLDEN / "audio_filterbank.npz")
    np.testing.assert_array_equal(filter_bank(112).numpy(), golden["mel_banks_112x256"])


@pytest.mark.parametrize("case", CASES)
def test_spectrograms(case: str) -> None:
    wave, rate, golden = load(case)
    resampled = resample(wave, rate, 16_000)
    if rate != 16_000:
        assert resampled.shape[-1] == golden["resampled_len"]
        head = golden["resampled_head"].reshape(len(wave), -1)
        np.testing.assert_allclose(resampled[:, : head.shape[1]].numpy(), head, atol=3e-7)
    mel = fbank((resampled - resampled.mean())[0]).numpy()
    assert len(mel) == META[case]["mel_frames"]
    np.testing.assert_allclose(mel, golden["mel"], atol=tolerance(case, rate))
    assert np.abs(mel - golden["mel"]).mean() < 5e-4


@pytest.mark.parametrize("case", CASES)
def test_inputs_with_the_official_choices(case: str) -> None:
    """What the official code draws after np.random.seed(1234), drawn from a generator of that seed."""
    wave, rate, golden = load(case)
    before = wave.clone()
    stretch = np.array([[0, wave.shape[-1]]])
    found = window_inputs(wave, rate, stretch, random=np.random.RandomState(1234))[0].numpy()
    assert found.shape == (3, 112, 1036)
    channel, mel, time = golden["fused_sample_idx"].T
    np.testing.assert_allclose(found[channel, mel, time], golden["fused_sample_val"], atol=tolerance(case, rate) / 9)
    assert torch.equal(wave, before)  # the official code writes into the waveform
    plain = window_inputs(wave, rate, stretch)[0].numpy()
    if not META[case]["choice_calls"]:
        np.testing.assert_array_equal(plain, found)


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

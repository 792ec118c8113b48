"""What reaches ImageBind's encoders: pixels, frames, cuts, spectrograms and ids as the reference makes them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from extract.backbones.imagebind.pictures import prepare_images
from extract.backbones.imagebind.spectrograms import segment_inputs, spectrogram, window_inputs
from extract.backbones.imagebind.tokens import tokeniser
from extract.backbones.imagebind.views import sound_cuts, window_frames
from extract.backbones.language_bind.frames import prepare_video_frames
from extract.backbones.pixels import resized_shape
from extract.media.audio_windows import SoundWindows
from extract.media.sampling import frame_plan, sample_plan, segment_plan, timed_frame_plan
from feature_cache import windows
from tests.imagebind_models import GOLDEN

IMAGES, VIDEOS, SOUNDS, SECONDS = (
    sorted(path.stem for path in GOLDEN.glob(f"{name}_*.npz")) for name in ("image", "video", "audio", "ovavel")
)
FLOOR = (np.log(np.float32(1.1920929e-07)) + 4.268) / 9.138


def golden(name: str) -> dict[str, NDArray[Any]]:
    return dict(np.load(GOLDEN / f"{name}.npz"))


def facts(name: str) -> Any:
    return json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))


def frames_of(case: dict[str, NDArray[Any]]) -> torch.Tensor:
    return torch.from_numpy(case["frames"]).permute(0, 3, 1, 2)


def sound_of(case: dict[str, NDArray[Any]]) -> tuple[torch.Tensor, int]:
    return torch.from_numpy(case["waveform_int16"].astype(np.float32) / 32768), int(case["sr"])


def whole(wave: torch.Tensor, rate: int) -> SoundWindows:
    return SoundWindows(wave, np.array([[0, wave.shape[1]]]), rate)


@pytest.mark.parametrize("name", IMAGES)
def test_images(name: str) -> None:
    case = golden(name)
    np.testing.assert_array_equal(prepare_images(frames_of(case)).numpy(), case["pixels_u8"])


@settings(max_examples=40)
@given(st.integers(3, 80), st.integers(3, 80), st.integers(4, 48), st.integers(0, 1 << 30))
def test_images_are_pillows(height: int, width: int, size: int, seed: int) -> None:
    """Rows first, then columns: one axis a call, as Pillow 13 takes another order for tall pictures."""
    image = pytest.importorskip("PIL.Image")
    frame = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    frame[: height // 2] = np.where(frame[: height // 2] > 127, 255, 0)  # overshoots
    rows, columns = resized_shape(height, width, size)
    across = image.fromarray(frame).resize((columns, height), image.Resampling.BICUBIC)
    scaled = np.asarray(across.resize((columns, rows), image.Resampling.BICUBIC))
    top, left = round((rows - size) / 2), round((columns - size) / 2)
    found = prepare_images(torch.from_numpy(frame).permute(2, 0, 1)[None], size)[0]
    np.testing.assert_array_equal(found.permute(1, 2, 0).numpy(), scaled[top : top + size, left : left + size])


def test_other_frames() -> None:
    with pytest.raises(ValueError, match="frames must be uint8"):
        prepare_images(torch.zeros(1, 3, 8, 8))


@pytest.mark.parametrize("name", VIDEOS)
def test_video_frames(name: str) -> None:
    """The centre views of five clips; with a margin of 1, 5, 9, … pixels the larger part is cut away before them."""
    case = golden(name)
    rows = np.searchsorted(case["frame_numbers"], case["taken"])
    found = prepare_video_frames(frames_of(case), half_up=True)[torch.from_numpy(rows)].numpy()
    view, channel, time, y, x = case["sample_idx"].T
    centre = view % 3 == 1
    assert centre.sum() > 1000
    values = found[view // 3, time, channel, y, x][centre]
    np.testing.assert_allclose(values, case["sample_val"][centre], atol=1e-4)
    np.testing.assert_allclose(found.sum(axis=(1, 2, 3, 4), dtype=np.float64), case["view_sums"][1::3], atol=0.2)


def test_the_odd_margin_is_another_one_elsewhere() -> None:
    frames = frames_of(golden("video_120x119_10s_10fps"))[:1]
    assert (prepare_video_frames(frames) - prepare_video_frames(frames, half_up=True)).abs().max() > 0.5


def test_frames_of_windows() -> None:
    for case in facts("window_frames"):
        n, step = case["frames"], case["step"]
        plan = frame_plan(n, frames_per_window=10, window_frames=window_frames)
        chosen = plan.frames[plan.video].reshape(46, 5, 2)
        assert chosen[0].tolist() == case["whole"]
        for row, (start, end) in enumerate(windows(10).tolist()):
            if row:
                expected = np.array(case["taken_by_length"][str(end - start)]) + start * step
                np.testing.assert_array_equal(chosen[row], expected)
        np.testing.assert_array_equal(plan.frames[plan.image], frame_plan(n).frames[frame_plan(n).image])


def test_windows_share_clips() -> None:
    plan = frame_plan(300, frames_per_window=10, window_frames=window_frames)
    assert len(np.unique(plan.frames[plan.video].reshape(-1, 2), axis=0)) == 33


def test_frames_by_their_times() -> None:
    times = np.arange(300) / 30
    by_time = timed_frame_plan(times, frames_per_window=10, window_frames=window_frames)
    by_number = frame_plan(300, frames_per_window=10, window_frames=window_frames)
    np.testing.assert_array_equal(by_time.frames[by_time.video], by_number.frames[by_number.video])


@given(st.integers(1, 400), st.floats(0.05, 3600))
def test_frames_lie_in_the_window(frames: int, seconds: float) -> None:
    found = window_frames(frames, seconds)
    assert found.shape == (5, 2)
    assert (np.diff(found, axis=0) >= 0).all()
    assert ((found >= 0) & (found < frames)).all()
    assert (found[:, 0] <= found[:, 1]).all()
    if seconds <= 2:
        assert found.tolist() == [[0, frames - 1]] * 5


def test_cuts_of_sound() -> None:
    cases = facts("clip_times")["audio"]
    assert len(cases) > 20
    for case in cases:
        assert sound_cuts(case["samples"], 16_000).tolist() == case["cuts"], case


@pytest.mark.parametrize("name", SOUNDS)
def test_spectrograms(name: str) -> None:
    case = golden(name)
    wave, rate = sound_of(case)
    before = wave.clone()
    found = window_inputs(whole(wave, rate))
    assert torch.equal(wave, before)  # the reference writes into the waveform
    assert len(found.views) == len(np.unique(case["cuts_16k"], axis=0)) == len(case["mel_sampled"])
    np.testing.assert_allclose(found.views[:, 0, ::2, ::3].numpy(), case["mel_sampled"], atol=1e-3)
    assert found.index.tolist() in ([[0, 0, 0]], [[0, 1, 2]])


@pytest.mark.parametrize("name", SECONDS)
def test_seconds_as_the_baseline_hears_them(name: str) -> None:
    case = golden(name)
    wave, rate = sound_of(case)
    each = SoundWindows(wave, segment_plan(wave.shape[1], rate), rate, 1.0)
    found = segment_inputs(each, 1.0)
    assert found.shape == (10, 1, 1, 128, 204)
    second, band, frame = case["sample_idx"].T
    np.testing.assert_allclose(found.numpy()[second, 0, 0, band, frame], case["sample_val"], atol=1e-3)
    np.testing.assert_allclose(found.sum(dim=(1, 2, 3, 4), dtype=torch.float64).numpy(), case["sums"], atol=2.0)
    assert torch.equal(found[..., 100:198], found[..., :98])  # repeated
    for second in range(-(-wave.shape[1] // rate), 10):
        np.testing.assert_allclose(found[second, ..., :198].numpy(), FLOOR, atol=1e-6)


def test_long_segments_are_heard_as_windows_are() -> None:
    wave = torch.randn(2, 16_000 * 30, generator=torch.Generator().manual_seed(0))
    each = SoundWindows(wave, segment_plan(wave.shape[1], 16_000, segment_seconds=3.0), 16_000, 3.0)
    found = segment_inputs(each, 3.0)
    assert found.shape == (10, 3, 1, 128, 204)
    assert torch.equal(found[1, 2], spectrogram(wave[:, 64_000:96_000]))


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_windows_share_cuts(rate: int) -> None:
    """46 windows of ten seconds are made of 17 cuts; each is the window's own."""
    wave = torch.randn(2, rate * 10, generator=torch.Generator().manual_seed(1))
    every = SoundWindows(wave, sample_plan(wave.shape[1], rate), rate)
    found = window_inputs(every)
    assert len(found.views) == 17
    assert found.index.shape == (46, 3)
    alone = window_inputs(every[7:8])
    assert torch.equal(alone.views[alone.index[0]], found.views[found.index[7]])


@pytest.mark.parametrize("rate", [16_000, 44_100])
@pytest.mark.parametrize("samples", [0, 1, 399, 400, 30_001])
def test_hardly_any_sound(samples: int, rate: int) -> None:
    wave = torch.full((1, samples), 0.5)
    every = SoundWindows(wave, sample_plan(samples, rate), rate)
    found = window_inputs(every)
    assert torch.isfinite(found.views).all()
    silence = found.views[found.index[-1]]  # past the end
    np.testing.assert_allclose(silence[..., :1].numpy(), FLOOR, atol=1e-6)
    assert torch.isfinite(segment_inputs(SoundWindows(wave, segment_plan(samples, rate), rate, 1.0), 1.0)).all()


@pytest.mark.parametrize("group", sorted(facts("tokenizer")["groups"]))
def test_token_ids(group: str) -> None:
    rows = facts("tokenizer")["groups"][group]
    found = tokeniser()([row["text"] for row in rows])
    for ids, row in zip(found.tolist(), rows, strict=True):
        assert ids[: len(row["ids"])] == row["ids"], row["text"]
        assert set(ids[len(row["ids"]) :]) <= {49407}  # filling: what is behind the end does not matter


def test_another_spelling_is_none() -> None:
    plain = tokeniser()(["<end_of_text> here", "< end_of_text > here"])
    assert plain[0, 1:9].tolist() == plain[1, 1:9].tolist()
    assert 49407 not in plain[0, 1:8].tolist()


def test_goldens_are_there() -> None:
    assert [len(names) for names in (IMAGES, VIDEOS, SOUNDS, SECONDS)] == [3, 2, 6, 2]
    assert Path(GOLDEN / "tiny_imagebind.pth").stat().st_size > 1_000_000

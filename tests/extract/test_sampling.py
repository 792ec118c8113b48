"""Which frames and samples are chosen."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from extract.backbones.clip_clap.log_mel import LogMel, MelConfig, fit_window
from extract.media.audio_windows import SoundWindows
from extract.media.sampling import frame_plan, sample_plan
from feature_cache import window_index, windows


def test_frames_of_a_clip_of_300() -> None:
    plan = frame_plan(300)
    assert plan.frames[plan.image].tolist() == [0, 33, 66, 99, 132, 166, 199, 232, 265, 299]
    assert plan.frames[plan.video[0]].tolist() == [0, 42, 85, 128, 170, 213, 256, 299]
    assert plan.frames[plan.video[window_index(0, 2)]].tolist() == [0, 8, 16, 25, 33, 42, 50, 59]
    assert plan.frames[plan.video[window_index(8, 10)]].tolist() == [240, 248, 256, 265, 273, 282, 290, 299]
    assert plan.video.shape == (46, 8)


@pytest.mark.parametrize("count", [10, 11, 19, 50, 97, 250, 299, 300, 599])
def test_frames_as_written_down(count: int) -> None:
    plan = frame_plan(count)
    step = count // 10
    np.testing.assert_array_equal(plan.frames[plan.image], np.linspace(0, count - 1, 10).astype(int))
    for row, (start, end) in enumerate(windows(10).tolist()):
        if row == 0:
            expected = np.linspace(0, count - 1, 8).astype(int)
        else:
            expected = np.linspace(0, (end - start) * step - 1, 8).astype(int) + start * step
        np.testing.assert_array_equal(plan.frames[plan.video[row]], expected)


@given(count=st.integers(2, 2000), segments=st.integers(2, 20), per_window=st.integers(1, 9))
def test_plans_are_sound(count: int, segments: int, per_window: int) -> None:
    if count < segments:
        with pytest.raises(ValueError, match="too few"):
            frame_plan(count, segments=segments, frames_per_window=per_window)
        return
    plan = frame_plan(count, segments=segments, frames_per_window=per_window)
    assert np.all(np.diff(plan.frames) > 0)
    assert plan.frames[0] >= 0
    assert plan.frames[-1] == count - 1
    used = np.unique(np.concatenate([plan.image, plan.video.ravel()]))
    np.testing.assert_array_equal(used, np.arange(len(plan.frames)))


def test_samples() -> None:
    plan = sample_plan(480_374, 48_000)
    assert plan.shape == (46, 2)
    assert plan[0].tolist() == [0, 480_374]
    assert plan[window_index(0, 2)].tolist() == [0, 96_000]
    assert plan[window_index(3, 7)].tolist() == [144_000, 336_000]
    assert plan[window_index(8, 10)].tolist() == [384_000, 480_000]
    assert sample_plan(8, 3, segments=3, segment_seconds=0.5).tolist() == [[0, 8], [0, 3], [0, 4], [1, 4]]


def test_samples_past_the_end_are_none() -> None:
    plan = sample_plan(100_000, 48_000)
    assert plan[window_index(1, 3)].tolist() == [48_000, 100_000]
    assert plan[window_index(2, 4)].tolist() == [96_000, 100_000]
    assert plan[window_index(3, 5)].tolist() == [100_000, 100_000]


def test_sound_windows_are_a_sequence() -> None:
    wave = torch.arange(10.0)
    sounds = SoundWindows(wave, np.array([[0, 10], [2, 4], [7, 7]]))
    assert [sound.tolist() for sound in sounds] == [list(range(10)), [2, 3], []]
    assert [sound.tolist() for sound in sounds[1:]] == [[2, 3], []]
    assert len(sounds[:2]) == 2


@settings(deadline=None, max_examples=50)
@given(
    length=st.one_of(st.integers(0, 400), st.sampled_from([480, 960, 1000, 2000])),
    edges=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 2000)), min_size=1, max_size=6),
)
def test_shared_transforms_change_nothing(length: int, edges: list[tuple[int, int]]) -> None:
    config = MelConfig(sample_rate=1000, window_samples=960, fft_size=64, hop=48, bands=8, highest=400)
    wave = torch.randn(length, generator=torch.Generator().manual_seed(length))
    stretches = np.minimum(np.sort(np.array(edges, dtype=np.int64), axis=1), length)
    sounds = SoundWindows(wave, stretches)
    log_mel = LogMel(config)
    found = log_mel.of_windows(sounds)
    expected = log_mel(torch.stack([fit_window(sound, config.window_samples) for sound in sounds]))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("length", [480_374, 480_000, 95_999])
def test_shared_transforms_of_a_clip(length: int) -> None:
    wave = torch.randn(length, generator=torch.Generator().manual_seed(1))
    sounds = SoundWindows(wave, sample_plan(length, 48_000))[::9]
    log_mel = LogMel(MelConfig())
    expected = log_mel(torch.stack([fit_window(sound, 480_000) for sound in sounds]))
    torch.testing.assert_close(log_mel.of_windows(sounds), expected, atol=1e-4, rtol=1e-5)

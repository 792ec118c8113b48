"""Tokens of windows that share a waveform: the same as of each window by itself, with a small part of the work."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from extract.backbones.pe_av.sounds import BLOCK, Field, Piece, Run, SoundEmbedder, batches, filled, pieces_of
from extract.media.sampling import sample_plan, segment_plan
from tests.pe_av_models import tiny_model

RATE = 48_000
HOP = 1920


class Small(nn.Module):
    """An embedder of the same parts, in steps of 2 and 4."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.dac_encoder = nn.Sequential(
            nn.Conv1d(1, 3, 7, padding=3), nn.Conv1d(3, 3, 7, padding=9, dilation=3), nn.Conv1d(3, 4, 4, 2, 1),
            nn.Tanh(), nn.Conv1d(4, 4, 7, padding=3), nn.Conv1d(4, 4, 8, 4, 2), nn.Conv1d(4, 4, 3, padding=1),
        )  # fmt: skip
        self.bottleneck, self.data_proj = nn.Conv1d(4, 4, 1), nn.Linear(4, 5)
        self.double()


@pytest.fixture(scope="module")
def real_steps() -> SoundEmbedder:
    return SoundEmbedder(tiny_model().audio_model.audio_encoder.embedder)


@pytest.fixture(scope="module")
def small() -> SoundEmbedder:
    return SoundEmbedder(Small())


def alone(embedder: SoundEmbedder, wave: Tensor, begin: int, end: int) -> Tensor:
    return embedder.whole(filled(wave[begin:end], embedder.field.hop)[None])[0]


def test_field(real_steps: SoundEmbedder, small: SoundEmbedder) -> None:
    """What a token hears by the gradient is inside the field, and reaches its ends."""
    assert real_steps.field.hop == HOP
    assert real_steps.field.tokens(RATE) == 25
    for embedder in (real_steps, small):
        field = embedder.field
        length, token = 40 * field.hop, 20
        wave = torch.randn(1, length, dtype=torch.float64 if embedder is small else torch.float32).requires_grad_()
        embedder.whole(wave)[0, token].sum().backward()  # type: ignore[no-untyped-call]
        assert wave.grad is not None
        heard = wave.grad[0].nonzero().ravel() - token * field.hop
        assert (int(heard.min()), int(heard.max())) == (-field.before, field.after)


@pytest.mark.parametrize(("samples", "seconds"), [(480_000, 1.0), (479_232, 1.0), (300_001, 1.0), (336_000, 0.7)])
def test_windows_of_a_clip(real_steps: SoundEmbedder, samples: int, seconds: float) -> None:
    wave = torch.randn(samples, generator=torch.Generator().manual_seed(samples))
    stretches = sample_plan(samples, RATE, segment_seconds=seconds)
    rows = [0, 1, 9, 20, 45]
    with torch.inference_mode():
        found = real_steps.of_stretches(wave, stretches)
        for row in rows:
            expected = alone(real_steps, wave, *stretches[row].tolist())
            assert found[row].shape == expected.shape
            torch.testing.assert_close(found[row], expected, rtol=0, atol=2e-5 * float(expected.abs().max()))


def test_work_is_shared() -> None:
    """46 windows hold 220 seconds of sound; their own begins and ends, and the ten seconds themselves are computed."""
    field = Field(HOP, 9953, 11_872)
    for samples, most in ((480_000, 20), (479_232, 20)):
        pieces = pieces_of(sample_plan(samples, RATE), field, samples)
        runs = {each.run for some in pieces for each in some}
        assert sum(run.end - run.begin for run in runs) < most * RATE
    segments = pieces_of(segment_plan(480_000, RATE), field, 480_000)
    assert all(len(some) == 1 for some in segments)  # seconds have little in common


@settings(max_examples=60, deadline=None)
@given(
    samples=st.integers(0, 3000),
    cuts=st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 3000)), min_size=1, max_size=8),
    block=st.integers(3, 40),
    shared=st.booleans(),
)
def test_any_stretches(samples: int, cuts: list[tuple[int, int]], block: int, shared: bool) -> None:
    embedder = SoundEmbedder(Small())
    field = embedder.field
    wave = torch.randn(samples, generator=torch.Generator().manual_seed(samples), dtype=torch.float64)
    stretches = np.array([sorted((min(a, samples), min(b, samples))) for a, b in cuts], dtype=np.int64)
    if shared:
        stretches[:, 0] -= stretches[:, 0] % field.hop
    pieces = pieces_of(stretches, field, samples, block)
    for some in pieces:
        for run, first, last in some:
            assert 0 <= run.begin <= run.end <= samples
            assert 0 <= first < last <= field.tokens(run.end - run.begin)
    with torch.inference_mode():
        for (begin, end), some in zip(stretches.tolist(), pieces, strict=True):
            found = torch.cat([alone(embedder, wave, *run)[first:last] for run, first, last in some])
            torch.testing.assert_close(found, alone(embedder, wave, begin, end), rtol=0, atol=1e-12)


def test_long_sound_in_blocks(small: SoundEmbedder) -> None:
    """Convolutions never see more than some blocks at once, however long a clip is."""
    field, samples = small.field, 5 * BLOCK * small.field.hop + 3
    wave = torch.randn(samples, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    pieces = pieces_of(np.array([[0, samples]]), field, samples)
    runs = [each.run for each in pieces[0]]
    assert len(runs) >= 5
    assert all(len(some) == 1 or sum(field.tokens(run.end - run.begin) for run in some) <= 2 * BLOCK
               for some in batches(runs, field))  # fmt: skip
    assert max(run.end - run.begin for run in runs) < 1.2 * BLOCK * field.hop
    with torch.inference_mode():
        found = small.of_stretches(wave, np.array([[0, samples]]))[0]
        torch.testing.assert_close(found, alone(small, wave, 0, samples), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("samples", "length"), [(0, HOP), (1, HOP), (1919, HOP), (1920, HOP), (1921, 2 * HOP)])
def test_filled(samples: int, length: int) -> None:
    wave = torch.arange(1, samples + 1, dtype=torch.float32)
    found = filled(wave, HOP)
    assert found.shape == (length,)
    assert found[:samples].equal(wave)
    if samples < HOP:
        assert not found[samples:].any()
    else:
        expected = np.pad(wave.numpy(), (0, length - samples), "reflect")  # as PeAudioFeatureExtractor does it
        np.testing.assert_array_equal(found.numpy(), expected)


def test_nothing_at_all(real_steps: SoundEmbedder) -> None:
    with torch.inference_mode():
        none, some = real_steps.of_stretches(torch.zeros(500), np.array([[500, 500], [0, 500]]))
    assert none.shape == some.shape == (1, none.shape[1])
    torch.testing.assert_close(none, some)


def test_pieces_are_named() -> None:
    (piece,), = pieces_of(np.array([[0, 100]]), Field(10, 20, 30), 100)  # fmt: skip
    assert piece == Piece(Run(0, 100), 0, 10)

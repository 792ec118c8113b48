"""Kernels against the plain NumPy reference, on made logits with every kind of corner."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_cache import DONE, FAILED, NO_PICTURE, NO_SOUND, PENDING, FeatureCache, window_count, window_index
from score import ScoreConfig, ScoreError, score
from score.choices import DECISIONS, FUSIONS, METHODS
from score.kernels.candidates import window_row
from score.kernels.from_logits import clip_workspace, empty_events, score_clips
from score.kernels.scorer import kernel_setting
from score.logits import alphabetical
from score.reference.scoring import ClipLogits, score_clip

unit = st.floats(0, 1, allow_nan=False)

configs = st.builds(
    ScoreConfig,
    alpha=unit | st.sampled_from([0.0, 0.5, 1.0]),
    filter_threshold=unit | st.sampled_from([0.5, 0.55]),
    threshold_stage1=unit | st.sampled_from([0.5, 0.75]),
    threshold_stage2=unit | st.sampled_from([0.5, 0.75]),
    gamma=st.floats(0, 5, allow_nan=False) | st.just(0.0),
    method=st.sampled_from(METHODS),
    fusion=st.sampled_from(FUSIONS),
    label_selection=st.booleans(),
    refinement=st.booleans(),
    decision=st.sampled_from(DECISIONS),
    label_shift_iters=st.integers(1, 3),
    pooled_windows=st.booleans(),
)


@st.composite
def clips(draw: st.DrawFn) -> ClipLogits:
    """Logits whose rows are wild, tied, constant, or slowly changing as in real clips."""
    segments = draw(st.integers(2, 12) | st.sampled_from([10, 63, 64]))
    labels = draw(st.integers(2, 25) | st.sampled_from([2, 64, 65, 120]))
    frames = draw(st.sampled_from([1, 1, 2, 8])) if segments < 20 else 1
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["smooth", "ties", "extreme", "constant rows"]))
    shape = (window_count(segments), frames, labels)
    base = 2 * rng.standard_normal(labels)
    image = base + rng.standard_normal((segments, labels))
    video = base + rng.standard_normal(shape)
    audio = base + rng.standard_normal((shape[0], labels))
    if kind == "ties":
        image, video, audio = (np.round(values) for values in (image, video, audio))
    elif kind == "extreme":
        image, video, audio = (values * 10.0 ** rng.integers(-200, 150) for values in (image, video, audio))
    elif kind == "constant rows":
        for values in (image, video, audio):
            values[rng.random(values.shape[:-1]) < 0.2] = 0.1
    missing = draw(st.sampled_from([0, 0, NO_PICTURE, NO_SOUND]))
    clip = ClipLogits(image, video, audio, rng.uniform(-1, 1, segments - 1), missing)
    return draw(st.sampled_from([clip, clip, fewer(draw, clip, rng)]))


def fewer(draw: st.DrawFn, clip: ClipLogits, rng: np.random.Generator) -> ClipLogits:
    """A clip with the sound of each segment, fewer windows, or a detector's probabilities."""
    sound = np.round(clip.audio[:1] + rng.standard_normal(clip.image.shape), 1)
    if draw(st.booleans()):
        image, sound = (1 / (1 + np.exp(-np.clip(values, -9, 9))) for values in (clip.image, sound))
        return replace(clip, image=image, sound=sound, video=clip.video[:0], audio=clip.audio[:0], given=True)
    audio = clip.audio[: draw(st.sampled_from([0, 1, None]))]
    own = sound if draw(st.booleans()) or not len(audio) else None
    return replace(clip, sound=own, audio=audio, video=clip.video[: draw(st.sampled_from([0, 1, None]))])


def fits(clip: ClipLogits, config: ScoreConfig) -> ScoreConfig:
    """Pooled where the clip has too few windows."""
    windows = window_count(len(clip.image))
    return config if min(len(clip.video), len(clip.audio)) == windows else config.replace(pooled_windows=True)


def by_kernels(clip: ClipLogits, names: tuple[str, ...], config: ScoreConfig) -> dict[str, list[Any]]:
    segments, labels = clip.image.shape
    found = empty_events(1, labels, segments)
    sound = np.ascontiguousarray(clip.audio[:1]) if clip.sound is None else clip.sound
    score_clips(
        clip.image[None],
        clip.video[None],
        clip.audio[None],
        sound[None],
        clip.given,
        clip.cosine[None],
        np.array([clip.missing], np.uint8),
        kernel_setting(config, segments),
        alphabetical(names),
        clip_workspace(labels, segments, len(sound)),
        found,
    )
    events = {}
    for number, stream in enumerate(("visual", "audio", "audiovisual")):
        events[stream] = [
            (
                int(found.label[0, number, x]),
                int(found.start[0, number, x]),
                int(found.end[0, number, x]),
                float(found.probability[0, number, x]),
            )
            for x in range(found.counts[0, number])
        ]
    return events


@settings(max_examples=600, deadline=None)
@given(clips(), configs)
def test_kernels_equal_the_reference(clip: ClipLogits, config: ScoreConfig) -> None:
    names = tuple(f"{'aB'[k % 2]}{k}" for k in range(clip.image.shape[1]))
    config = fits(clip, config)
    assert by_kernels(clip, names, config) == score_clip(clip, names, config)


def test_window_row_is_the_caches() -> None:
    for segments in (2, 10, 64):
        for start in range(segments - 1):
            for end in range(start + 2, segments + 1):
                assert window_row(start, end, segments) == window_index(start, end, segments)


def make_cache(path: Path, clips: int = 7, *, labels: int = 6, segments: int = 10) -> FeatureCache:
    rng = np.random.default_rng(5)
    base = rng.standard_normal((clips, 1, 16))
    windows = window_count(segments)
    cache = FeatureCache.from_arrays(
        path,
        clip_ids=[f"clip{i}" for i in range(clips)],
        backbone="language_bind",
        image=base + rng.standard_normal((clips, segments, 16)),
        video=base + rng.standard_normal((clips, windows, 16)),
        audio=base + rng.standard_normal((clips, windows, 16)),
        shard_size=2,
    )
    text = rng.standard_normal((labels, 16))
    cache.add_text("some", labels=[f"L{k}" for k in range(labels)], visual=text, audio=text)
    return cache


CONFIG = ScoreConfig.published("language_bind")


def test_the_threads_do_not_matter(tmp_path: Path) -> None:
    cache = make_cache(tmp_path / "c.zarr", 9)
    written = []
    for threads in (1, 2, 7):
        score(cache, CONFIG, threads=threads).write(tmp_path / f"{threads}.json")
        written.append((tmp_path / f"{threads}.json").read_bytes())
    assert written[0] == written[1] == written[2]


def test_every_scored_clip_is_a_key(tmp_path: Path) -> None:
    cache = make_cache(tmp_path / "c.zarr")
    events = score(cache, CONFIG, text="some")
    assert list(events.stream("audiovisual")) == cache.clip_ids
    assert len(events) == sum(len(found) for name in ("audiovisual", "visual", "audio")
                              for found in events.stream(name).values())  # fmt: skip
    for label, onset, offset, value in events.stream("visual")["clip0"]:
        assert label in events.labels
        assert 0 <= onset < offset <= 10
        assert 0 <= value <= 1


def test_rows_that_are_not_done_are_left_out(tmp_path: Path) -> None:
    cache = make_cache(tmp_path / "c.zarr")
    whole = score(cache, CONFIG)
    part = cache.read([2, 3])
    cache.write_shard(1, part.image, part.video, part.audio, [FAILED, DONE], ["no sound", ""])
    cache.write_shard(2, part.image * 0, part.video * 0, part.audio * 0, [PENDING] * 2)
    rest = score(cache, CONFIG)
    assert rest.clip_ids == ("clip0", "clip1", "clip3", "clip6")
    assert rest.left_out == {"pending": 2, "failed": 1}
    for stream in ("audiovisual", "visual", "audio"):
        for clip, found in rest.stream(stream).items():
            assert found == whole.stream(stream)[clip]


def test_too_many_segments(tmp_path: Path) -> None:
    cache = make_cache(tmp_path / "c.zarr", 1, segments=65)
    with pytest.raises(ScoreError, match="65 segments: at most 64"):
        score(cache, CONFIG)


def test_no_such_stream(tmp_path: Path) -> None:
    with pytest.raises(ScoreError, match="no stream 'combined'"):
        score(make_cache(tmp_path / "c.zarr"), CONFIG).stream("combined")
    with pytest.raises(ScoreError, match="threads must be at least 1"):
        score(make_cache(tmp_path / "d.zarr"), CONFIG, threads=0)

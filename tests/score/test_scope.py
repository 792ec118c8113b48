"""The rule scope: the kernel as the reference from embeddings; sweeps as score and evaluate; the command."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from feature_cache import FeatureCache, window_count
from feature_cache.layout import NO_PICTURE, NO_SOUND
from score import Annotations, Events, Space, evaluate, read_annotations, score, search, settings_for
from score.choices import LABELS, NOTHING
from score.cosines import Sides, label_side
from score.kernels.competition import empty_carried, exchanged_costs, give
from score.kernels.judge import ClipsTruth
from score.kernels.scope import KEPT, scope_clips, scope_workspace
from score.reference import scope as reference
from score.reference.scope import Bools, Floats, Modality
from score.rule_parameters import CELL_RULES, EXCHANGE_FORMS, ScopeConfig
from score.rules import find_rule
from score.rules.scope import columns_of
from score.sound import embedding_rows
from tests.command import av2a, refusal

SETTINGS = st.builds(
    ScopeConfig,
    cost=st.floats(0.05, 0.8),
    eta_visual_to_audio=st.sampled_from([0.0, 2.0, 16.0]),
    eta_audio_to_visual=st.sampled_from([0.0, 4.0, 30.0]),
    alpha=st.sampled_from([0.0, 0.45, 1.0]),
    support=st.sampled_from([1e-6, 0.05]),
    memory_seconds=st.sampled_from([0.0, 0.4, 1.6, 3.0, 100.0]),
    exchange_form=st.sampled_from(EXCHANGE_FORMS),
    smoothing=st.sampled_from(CELL_RULES),
    center_labels=st.booleans(),
)


@dataclass(frozen=True)
class Clip:
    """Embeddings of a clip, float32: (R, D), (C, D), and centres (D,)."""

    visual: Modality
    audio: Modality
    segments: int

    @property
    def missing(self) -> int:
        return (NO_PICTURE if self.visual.rows is None else 0) + (NO_SOUND if self.audio.rows is None else 0)


def make_clip(
    seed: int, segments: int, labels: int, sounds: int, missing: int = 0, dims: int = 16, empty: bool = False
) -> Clip:
    """Rows near one to three labels; ``empty``: one row has no direction."""
    rng = np.random.default_rng(seed)
    here = rng.choice(labels, size=min(labels, 3), replace=False)

    def side(count: int, lacks: int) -> Modality:
        text = rng.standard_normal((labels, dims)) + 0.5
        rows = text[rng.choice(here, size=(count, 2))].mean(axis=1) + rng.standard_normal((count, dims))
        if empty:
            rows[rng.integers(count)] = 0
        center = rng.standard_normal(dims) * rng.choice([0.0, 0.05])
        return Modality(None if missing == lacks else rows.astype(np.float32), text.astype(np.float32), center)

    return Clip(side(segments, NO_PICTURE), side(sounds, NO_SOUND), segments)


def cosines(clip: Clip, centred: bool) -> tuple[Sides, Floats, Floats]:
    """What the kernel is given: from logits, lengths and one inner product a row."""
    sides = Sides(*(label_side("t", each.text, each.center, centred) for each in (clip.visual, clip.audio)))
    found = []
    for each, side in ((clip.visual, sides.visual), (clip.audio, sides.audio)):
        rows = np.zeros((clip.segments, each.text.shape[1]), np.float32) if each.rows is None else each.rows
        found.append(side.cosines(embedding_rows(rows[None], each.text, side.center)))
    return sides, found[0], found[1]


def nothing_true(labels: int, segments: int, clips: int) -> ClipsTruth:
    return ClipsTruth(
        np.zeros((clips, 3, labels), np.uint64), np.zeros((clips, 3), np.int64),
        np.zeros((clips, 0, segments), np.int64), np.zeros(clips, np.int64), LABELS, NOTHING,
    )  # fmt: skip


ALONE = empty_carried(1, 0, False)
"""Nothing is carried over."""


def by_kernel(clip: Clip, config: ScopeConfig, seconds: float = 1.0) -> tuple[Bools, Floats]:
    """As the reference's ``decide``, with w / (1 + w) for w."""
    sides, image, sound = cosines(clip, config.center_labels)
    labels = image.shape[2]
    on, value = np.zeros((1, 3, labels), np.uint64), np.zeros((1, 3, labels, clip.segments))
    columns = columns_of({name: [each] for name, each in config.to_dict().items()})
    scope_clips(
        image, sound, np.array([clip.missing], np.uint8), sides.visual.gram, sides.audio.gram, seconds, ALONE, columns,
        nothing_true(labels, clip.segments, 0), scope_workspace(labels, clip.segments), np.zeros((1, 8)), on, value,
    )  # fmt: skip
    bits = on[0, :, None, :] >> np.arange(clip.segments, dtype=np.uint64)[:, None]
    return (bits & np.uint64(1)).astype(bool), value[0].transpose(0, 2, 1)


def is_close_call(weight: Floats, support: float) -> bool:
    """Whether two gaps of a row, or a weight and the support, are as good as equal."""
    for row in weight.reshape(-1, weight.shape[-1]):
        kept = np.sort(row[row > support])[::-1]
        gaps = np.sort(-np.diff([*kept, 0.0]))
        if (np.abs(row - support)[row > 0] < 1e-8).any() or (len(gaps) > 1 and gaps[-1] - gaps[-2] < 1e-8):
            return True
    return False


@settings(max_examples=60)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([2, 3, 10, 64]),
    st.integers(2, 14) | st.sampled_from([25, 120]),
    st.booleans(),
    st.sampled_from([0, 0, NO_PICTURE, NO_SOUND]),
    st.booleans(),
    st.sampled_from([0.5, 1.0]),
    SETTINGS,
)
def test_the_kernel_is_the_reference(
    seed: int,
    segments: int,
    labels: int,
    one_sound: bool,
    missing: int,
    empty: bool,
    seconds: float,
    config: ScopeConfig,
) -> None:
    """From logits, lengths and inner products; from embeddings. Events exactly, weights to 1e-9."""
    dims = 16 if labels < 16 else labels + 8
    clip = make_clip(seed, segments, labels, 1 if one_sound else segments, missing, dims, empty)
    on, weight = reference.decide(clip.visual, clip.audio, segments, seconds, config)
    assume(not is_close_call(weight, config.support))
    found, value = by_kernel(clip, config, seconds)
    np.testing.assert_array_equal(found, on)
    np.testing.assert_allclose(value, weight / (1 + weight), rtol=0, atol=1e-9)


def test_the_reference_finds_something() -> None:
    """So that what is compared is not nothing: all streams, several labels in a row, rows of none."""
    count = np.zeros(3)
    for seed in range(10):
        clip = make_clip(seed, 10, 6, 10)
        on, _ = reference.decide(clip.visual, clip.audio, 10, 1.0, ScopeConfig(smoothing="none"))
        count += on.sum(axis=(1, 2))
    assert (count > 20).all()


def test_what_is_given() -> None:
    """The mean of q s over segments: (1 · 1 + 0.5 · 0.5) / 2; or over the segments up to each."""
    share, out = np.array([[1.0 * 1.0], [0.5 * 0.5]]), np.empty((2, 1))
    assert give(share, 2, 0, out) == 1
    assert out[0, 0] == 0.625 == reference.given(share, 0)[0, 0]
    assert give(share, 2, 2, out) == 2
    assert out[:, 0].tolist() == [1.0, 0.625] == reference.given(share, 2)[:, 0].tolist()
    assert give(share, 2, 1, out) == 2
    assert out[:, 0].tolist() == [1.0, 0.25]


@pytest.mark.parametrize("form", EXCHANGE_FORMS)
def test_costs_keep_their_mean(form: str) -> None:
    """What one label gains the others pay."""
    given, out = np.array([0.0, 0.0, 0.625, 0.2]), np.empty(4)
    exchanged_costs(given, 0.3, 16.0, float(EXCHANGE_FORMS.index(form)), out)
    assert out.mean() == pytest.approx(0.3, abs=1e-15)
    assert out[2] < out[3] < 0.3 < out[0] == out[1]
    np.testing.assert_allclose(out, reference.exchanged_costs(given[None], 0.3, 16.0, form)[0], rtol=1e-14)
    exchanged_costs(np.zeros(4), 0.3, 16.0, float(EXCHANGE_FORMS.index(form)), out)
    assert (out == 0.3).all()


ROWS: list[tuple[list[float], list[int]]] = [
    ([0.9, 0.8, 0.1, 0.05], [0, 1]),
    ([0.9, 0.3, 0.2], [0]),
    ([0.5, 0.5, 0.5], [0, 1, 2]),
    ([0.5, 0.25, 0.0], [0]),  # equal gaps: the first
    ([0.1, 0.0, 0.0], [0]),
    ([0.0, 0.0, 0.0], []),
    ([1e-7, 0.0, 0.0], []),
]


@pytest.mark.parametrize(("weights", "expected"), ROWS)
def test_the_largest_gap(weights: list[float], expected: list[int]) -> None:
    assert np.flatnonzero(reference.above_largest_gap(np.array([weights]), 1e-6)[0]).tolist() == expected


@pytest.mark.parametrize("weights", [weights for weights, _ in ROWS[:5]])
def test_the_largest_gap_of_the_kernel(weights: list[float]) -> None:
    """Orthogonal labels, whose weights are b - cost / 2."""
    config = ScopeConfig(
        cost=2**-9, smoothing="none", alpha=0.5, eta_visual_to_audio=0, eta_audio_to_visual=0, support=0.01
    )
    x = np.array([[[*weights, 0.0]] * 2]) + 2**-10  # no sum is rounded where gaps are equal
    gram, on, value = np.eye(x.shape[2]), np.zeros((1, 3, x.shape[2]), np.uint64), np.zeros((1, 3, x.shape[2], 2))
    columns = columns_of({name: [each] for name, each in config.to_dict().items()})
    scope_clips(
        x, x, np.zeros(1, np.uint8), gram, gram, 1.0, ALONE, columns, nothing_true(x.shape[2], 2, 0),
        scope_workspace(x.shape[2], 2), np.zeros((1, 8)), on, value,
    )  # fmt: skip
    expected = np.flatnonzero(reference.above_largest_gap(np.array([weights]), 0.01)[0]).tolist()
    assert all(np.flatnonzero(stream).tolist() == expected for stream in on[0])


def test_rules_of_time() -> None:
    on = np.array([1, 1, 0, 1, 0, 1, 1, 0, 0, 1], bool)[:, None]
    assert reference.smoothed(on, "none").tolist() == on.tolist()
    assert reference.smoothed(on, "causal")[:, 0].astype(int).tolist() == [1, 1, 0, 0, 0, 1, 1, 0, 0, 0]
    on = np.array([1, 1, 0, 1, 1, 0, 1, 0, 0, 1], bool)[:, None]
    assert reference.smoothed(on, "runs")[:, 0].astype(int).tolist() == [1, 1, 1, 1, 1, 0, 0, 0, 0, 0]


def test_what_is_missing_gives_nothing() -> None:
    """The other modality competes at equal costs, and the audiovisual stream is its."""
    for missing, there in ((NO_PICTURE, 1), (NO_SOUND, 0)):
        clip = make_clip(3, 10, 8, 10, missing)
        found, value = by_kernel(clip, ScopeConfig(cost=0.2))
        alone, _ = by_kernel(clip, ScopeConfig(cost=0.2, eta_visual_to_audio=0, eta_audio_to_visual=0))
        assert found[there].any()
        np.testing.assert_array_equal(found, alone)
        np.testing.assert_array_equal(found[2], found[there])
        np.testing.assert_array_equal(value[2], value[there])
        assert not found[1 - there].any()


def test_the_order_of_settings_does_not_matter() -> None:
    """Each alone, and all together, more etas than are kept, clips without sound or picture among others."""
    clips = [make_clip(seed, 10, 7, 10, missing) for seed, missing in enumerate([0, NO_SOUND, 0, NO_PICTURE, 0])]
    clips = [Clip(Modality(c.visual.rows, clips[0].visual.text, clips[0].visual.center),
                  Modality(c.audio.rows, clips[0].audio.text, clips[0].audio.center), 10) for c in clips]  # fmt: skip
    sides, images, sounds = zip(*(cosines(clip, True) for clip in clips), strict=True)
    image, sound = np.concatenate(images), np.concatenate(sounds)
    missing = np.array([clip.missing for clip in clips], np.uint8)
    rng = np.random.default_rng(0)
    truth = nothing_true(7, 10, 5)._replace(true=rng.integers(0, 1 << 10, (5, 3, 7)).astype(np.uint64))
    rows = [
        (cost, memory, form, eta, other, 1e-6, smoothing, alpha)
        for cost, memory, form in ((0.2, 0, 0), (0.2, 3, 0), (0.2, 3, 1), (0.4, 3, 1))
        for eta in (0, 8)
        for other in np.linspace(0, 20, KEPT + 3)
        for smoothing in (0, 1)
        for alpha in (0.3, 0.6)
    ]
    table = np.array(rows, np.float64)

    def sums(settings: NDArray[np.float64]) -> Floats:
        found = np.zeros((len(settings), 8))
        scope_clips(
            image, sound, missing, sides[0].visual.gram, sides[0].audio.gram, 1.0, ALONE, settings, truth,
            scope_workspace(7, 10), found, np.zeros((0, 3, 7), np.uint64), np.zeros((0, 3, 7, 10)),
        )  # fmt: skip
        return found

    together = sums(table)
    shuffled = rng.permutation(len(table))
    np.testing.assert_array_equal(sums(table[shuffled]), together[shuffled])
    for row in shuffled[:20]:
        np.testing.assert_array_equal(sums(table[row : row + 1])[0], together[row])
    assert len(np.unique(together, axis=0)) > 20


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of twelve clips with windows and sounds of segments, and LLP's annotation files of them."""
    folder = tmp_path_factory.mktemp("scope")
    rng = np.random.default_rng(1)
    labels, dims = ["Speech", "Car", "Dog", "Cheering", "Cat"], 12
    text = rng.standard_normal((2, 5, dims)) + 0.4
    names = [f"c{i:02}" for i in range(12)]
    rows: list[list[tuple[str, int, int]]] = []
    image, audio = (rng.standard_normal((12, 10, dims)) * 0.5 for _ in range(2))
    for i in range(12):
        found = []
        for label in rng.choice(5, size=2, replace=False):
            start = int(rng.integers(0, 7))
            end = int(rng.integers(start + 2, 11))
            image[i, start:end] += text[0, label]
            audio[i, start:end] += text[1, label]
            found.append((labels[label], start, end))
        rows.append(found)
    windows = rng.standard_normal((12, window_count(10), dims))
    cache = FeatureCache.from_arrays(
        folder / "features.zarr", clip_ids=names, backbone="clip_clap", image=image, video=windows,
        audio=windows, audio_segments=audio, missing=[NO_SOUND if i == 5 else 0 for i in range(12)], dtype="float32",
    )  # fmt: skip
    cache.add_text("t", labels=labels, visual=text[0], audio=text[1])
    (folder / "truth.json").write_text(json.dumps(dict(zip(names, rows, strict=True))))
    return folder


def truth_of(place: Path, kind: str) -> Annotations:
    """Two events of each clip are seen, the first is heard; or the first alone is there, seen and heard."""
    rows = json.loads((place / "truth.json").read_text())
    if kind == "llp":
        return Annotations.from_events({clip: {"visual": each, "audio": each[:1]} for clip, each in rows.items()})
    first: dict[str, Any] = {clip: [tuple(event) for event in each[:1]] for clip, each in rows.items()}
    groups = {clip: number % 2 for number, clip in enumerate(rows)} if kind == "ov-avebench" else {}
    listed = {clip: [found] for clip, found in first.items()}
    return Annotations(kind, "val", tuple(rows), first, first, listed=listed, groups=groups)


@pytest.mark.parametrize(
    ("kind", "sound"),
    [("llp", "segments"), ("llp", "clip"), ("llp", "windows"), ("ave", "segments"), ("ov-avebench", "windows")],
)
def test_figures_of_a_search_are_those_of_each_setting_alone(kind: str, sound: str, place: Path) -> None:
    cache, truth = FeatureCache.open(place / "features.zarr"), truth_of(place, kind)
    space = Space(
        rule="scope", cost=[0.1, 0.3, 0.6], eta_visual_to_audio=[0, 16], eta_audio_to_visual=[0, 4, 16],
        alpha=[0.2, 0.6], memory_seconds=[0, 3], exchange_form=EXCHANGE_FORMS, smoothing=CELL_RULES, sound=sound,
    )  # fmt: skip
    result = search(cache, truth, space, threads=2)
    assert len(result) == 432
    for row in np.random.default_rng(0).permutation(len(result))[:20]:
        config = result.space.config(result.parameters[row])
        alone = evaluate(score(cache, config), truth)
        np.testing.assert_allclose(result.metrics[row], list(alone.metrics.values()), rtol=0, atol=1e-10)
        assert alone.inferred == find_rule("scope").inferred
    assert kind != "llp" or sound != "segments" or result.best.metrics["segment-type-av"] > 50
    assert result.as_csv().splitlines()[0].endswith(b",inferred")


def test_events_of_a_cache_are_the_references(place: Path) -> None:
    """Centres from the cache itself, a clip without sound, scores in (0, 1)."""
    from score.centers import find_center

    cache = FeatureCache.open(place / "features.zarr")
    config = settings_for(cache, rule="scope")
    assert (config.sound, config.center, config.center_labels) == ("segments", "cache", True)
    text = cache.text("t")
    center = find_center("cache", cache, text, "segments")
    events = score(cache, config)
    features = cache.read(range(12))
    assert features.audio_segments is not None
    streams = ("visual", "audio", "audiovisual")
    for row, clip in enumerate(cache.clip_ids):
        sound = None if row == 5 else features.audio_segments[row]
        on, weight = reference.decide(
            Modality(features.image[row], text.visual, center.visual), Modality(sound, text.audio, center.audio),
            10, 1.0, config,
        )  # fmt: skip
        expected: list[Any] = [
            (streams[stream], text.labels[label], float(start), float(end), pytest.approx(value, abs=1e-9))
            for stream, label, start, end, value in reference.events(on, weight)
        ]
        found = [(stream, *event) for stream in streams for event in events.stream(stream)[clip]]
        assert sorted(found) == sorted(expected, key=lambda event: event[:4])
    assert ((events.score > 0) & (events.score < 1)).all()


@pytest.fixture
def folder(place: Path, tmp_path: Path) -> Path:
    """With annotations as LLP has them: two events of each clip are seen, the first is heard."""
    shutil.copytree(place / "features.zarr", tmp_path / "features.zarr")
    rows = json.loads((place / "truth.json").read_text())
    (tmp_path / "LLP").mkdir()
    for side, count in (("audio", 1), ("visual", 2)):
        lines = [f"{clip}\t{a}\t{b}\t{label}" for clip, found in rows.items() for label, a, b in found[:count]]
        table = "\n".join(["filename\tonset\toffset\tevent_labels", *lines]) + "\n"
        (tmp_path / "LLP" / f"AVVP_eval_{side}.csv").write_text(table)
    for split in ("val", "test"):
        (tmp_path / "LLP" / f"AVVP_{split}_pd.csv").write_text("\n".join(["filename", *rows]) + "\n")
    return tmp_path


def test_the_command(folder: Path) -> None:
    """Every output says what is inferred; the memory has two spellings; the names of choices are the rule's."""
    note = find_rule("scope").inferred
    done = av2a("score", "--rule", "scope", "--memory", "3", "--smoothing", "causal", cwd=folder)
    assert done.code == 0, done.err
    assert note in done.out
    assert "memory_seconds=3.0 (given)" in done.out
    first = json.loads((folder / "events.json").read_text())
    assert (first["rule"], first["inferred"]) == ("scope", note)
    words = ("--memory-seconds", "3", "--smoothing", "causal", "-o", "events.csv")
    assert av2a("score", "--rule", "scope", *words, cwd=folder).code == 0
    lines = (folder / "events.csv").read_text().splitlines()
    assert lines[0].endswith(",inferred")
    assert len(lines) - 1 == len(first["events"]) > 0
    assert "no parameter of rule exchange" in refusal("score", "--rule", "exchange", "--memory", "3", cwd=folder)
    assert "smoothing must be one of" in refusal("score", "--rule", "scope", "--smoothing", "median", cwd=folder)
    done = av2a("evaluate", "--dataset", "llp", "--annotations", "LLP", "-o", "figures.json", cwd=folder)
    assert done.code == 0, done.err
    assert note in done.out
    assert json.loads((folder / "figures.json").read_text())["inferred"] == note


def test_search_by_the_command(folder: Path) -> None:
    """Its --memory is what it may take; its best setting scores as it says."""
    words = ("--rule", "scope", "--dataset", "llp", "--annotations", "LLP", "--memory", "1GiB")
    done = av2a("search", *words, "--cost", "0.1:0.5:0.2", "--memory-seconds", "0,4", cwd=folder)
    assert done.code == 0, done.err
    note = find_rule("scope").inferred
    assert "12 of 12 clips of the val split, 6 settings" in done.out
    assert f"note: {note}" in done.out
    assert f"# {note}" in (folder / "best.toml").read_text()
    scored = av2a("score", "--config", "best.toml", cwd=folder)
    assert scored.code == 0, scored.err
    figures = evaluate(Events.read(folder / "events.json"), read_annotations("llp", folder / "LLP", split="val"))
    assert f"{figures.metrics['segment-type-av']:.2f} %" in (folder / "best.toml").read_text()

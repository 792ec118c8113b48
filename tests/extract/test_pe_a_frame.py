"""`pe_a_frame`: frames of sound against words, as transformers' own model has them, and what a cache makes of them."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from extract import ExtractError, extract_videos, load_backbone
from extract.backbones.detector import Detector
from extract.backbones.weights import quiet
from extract.checking.check import check_backbone
from extract.media.clip import Views, decode_clip
from extract.run.detecting import pool_frames
from feature_cache import PENDING, FeatureCache
from tests.command import av2a, refusal
from tests.killing import HEAVY, Ended, Nursery, kills
from tests.media import make_video, tone
from tests.pe_a_frame_models import make_pe_a_frame
from tests.stores import contents
from tests.view.live import tuning

LABELS = ("Dog_bark", "Train horn", "Yak")
SCORE = ("--no-refinement", "--alpha", 0.5, "--filter-threshold", 0.1, "--threshold-stage1", 0.3,
         "--threshold-stage2", 0.3, "--gamma", 1)  # fmt: skip


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pe_a_frame(tmp_path_factory.mktemp("pe_a_frame") / "weights")


@pytest.fixture(scope="module")
def detector(weights: Path) -> Detector:
    found = load_backbone("pe_a_frame", weights)
    assert isinstance(found, Detector)
    return found


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with five clips, one of which is short, and labels; not to be changed."""
    folder = tmp_path_factory.mktemp("world")
    (folder / "videos").mkdir()
    for number, name in enumerate(("birds", "cars", "dogs", "short", "yaks")):
        seconds = 4.5 if name == "short" else 10
        sound = tone(seconds, 16_000, 1, 300 * (number + 1))
        make_video(folder / "videos" / f"{name}.mp4", frames=int(2 * seconds), fps=2, sound=sound)
    (folder / "labels.txt").write_text("\n".join(LABELS) + "\n")
    return folder


@pytest.fixture(scope="module")
def heard(world: Path, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of these clips; not to be changed."""
    path = tmp_path_factory.mktemp("heard") / "heard.zarr"
    extract(world, weights, path)
    return path


def extract(world: Path, weights: Path, output: Path, **options: Any) -> Any:
    options = {"labels": world / "labels.txt", "device": "cpu", "shard_size": 2, **options}
    return extract_videos(world / "videos", output, backbone="pe_a_frame", checkpoint=weights, **options)


def noise(seconds: float, seed: int = 0) -> NDArray[np.float32]:
    wave = np.random.default_rng(seed).standard_normal(int(48_000 * seconds))
    return (0.2 * wave).astype(np.float32)


@pytest.mark.parametrize("seconds", [10.0, 2.0, 0.9701, 0.035])
def test_as_the_reference(detector: Detector, weights: Path, seconds: float) -> None:
    """The class's own forward, its text encoder without the last norm, which the published weights never saw."""
    from transformers import AutoTokenizer, PeAudioFeatureExtractor, PeAudioFrameLevelModel

    wave, sentences = noise(seconds), ["dog bark", "train horn", "the bleating of a yak, far away"]
    with quiet():
        model = PeAudioFrameLevelModel.from_pretrained(weights).eval()
        tokens = AutoTokenizer.from_pretrained(weights)(sentences, padding=True, return_tensors="pt")
        inputs = PeAudioFeatureExtractor()([wave], sampling_rate=48_000, return_tensors="pt")
    model.text_model.final_norm = torch.nn.Identity()
    with torch.inference_mode():
        logits = model(**tokens, **inputs).logits_audio_text[0].T
    found = detector.detect(detector.prepare_audio([torch.from_numpy(wave)]), detector.encode_audio_text(sentences))
    assert found.dtype == torch.float32
    assert found.shape == (1, -(-len(wave) // 1920), 3)
    torch.testing.assert_close(found[0], torch.sigmoid(logits), rtol=0, atol=1e-5)
    if seconds > 1:
        assert found.std() > 0.01


def test_frames_and_length(detector: Detector) -> None:
    assert detector.frames_per_second == 25
    assert detector.longest_seconds == 400
    silence = detector.prepare_audio([torch.zeros(0)])
    assert silence.shape == (1, 1920)
    with pytest.raises(ExtractError, match="pe_a_frame hears only"):
        detector.encode_visual_text(["a"])


def change(name: str, weights: Path) -> str:
    """Break a copy of the weights; returns what the error says."""
    from safetensors.torch import load_file, save_file

    file = weights / "model.safetensors"
    tensors = load_file(file)
    key = "audio_head.proj.weight"
    if name == "missing":
        del tensors[key]
    elif name == "shape":
        tensors[key] = tensors[key][:, :-1].contiguous()
    elif name == "more":
        tensors["video_head.weight"] = torch.zeros(2, 2)
    elif name == "damaged":
        file.write_bytes(file.read_bytes()[:1000])
        return "model.safetensors: cannot be loaded as PE-A-Frame"
    elif name == "kind":
        config = json.loads((weights / "config.json").read_text())
        (weights / "config.json").write_text(json.dumps({**config, "model_type": "pe_audio_video"}))
        return "a model of type 'pe_audio_video', not 'pe_audio'"
    elif name == "config":
        (weights / "config.json").write_text("[]")
        return "config.json: cannot be used"
    elif name == "tokenizer":
        (weights / "tokenizer.json").unlink()
        return "no tokenizer.json in "
    save_file(tensors, file, metadata={"format": "pt"})
    shown = {"missing": "are missing", "shape": "are of another shape", "more": "are not PE-A-Frame's"}[name]
    return f"1 tensors {shown} ({'video_head.weight' if name == 'more' else key})"


@pytest.mark.parametrize("name", ["missing", "shape", "more", "damaged", "kind", "config", "tokenizer"])
def test_wrong_weights(weights: Path, tmp_path: Path, name: str) -> None:
    folder = Path(shutil.copytree(weights, tmp_path / "copy"))
    said = change(name, folder)
    with pytest.raises(ExtractError) as refused:
        load_backbone("pe_a_frame", folder)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_equal_to_an_import(world: Path, heard: Path, detector: Detector, tmp_path: Path) -> None:
    """The detector's frames, written as arrays and imported as any detector's, give the same cache and events."""
    cache = FeatureCache.open(heard)
    words = detector.encode_audio_text([label.replace("_", " ").lower() for label in LABELS])
    frames = np.zeros((len(cache), 250, 3), dtype=np.float32)
    for row, clip in enumerate(cache.clip_ids):
        media = decode_clip(
            world / "videos" / f"{clip}.mp4", views=Views(detector.prepare_frames), sample_rate=48_000, sound_only=True,
            begin=0.0 if clip == "short" else None,
        )  # fmt: skip
        assert media.segments is not None
        wave = torch.zeros(480_000)
        wave[: len(media.segments.wave)] = media.segments.wave[:480_000]
        frames[row] = detector.detect(detector.prepare_audio([wave]), words)[0].numpy()
    np.save(tmp_path / "frames.npy", frames)
    (tmp_path / "ids.txt").write_text("\n".join(cache.clip_ids))
    shutil.copy(world / "labels.txt", tmp_path)
    done = av2a(
        "import", "--audio-probabilities", "frames.npy", "--clips", "ids.txt", "--labels", "labels.txt", "--pool",
        "--segments", 10, "-o", "imported.zarr", cwd=tmp_path,
    )  # fmt: skip
    assert done.code == 0, done.err
    imported = FeatureCache.open(tmp_path / "imported.zarr")
    assert imported.arrays == cache.arrays
    one, other = cache.read(), imported.read()
    assert one.audio_probability is not None
    assert other.audio_probability is not None
    assert one.audio_probability.shape == (5, 10, 3)
    np.testing.assert_allclose(one.audio_probability, other.audio_probability, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(one.missing, other.missing)
    assert cache.text().labels == imported.text().labels == LABELS
    assert cache.text().prompts == {"audio": ["dog bark", "train horn", "yak"]}
    events = []
    for path in (heard, tmp_path / "imported.zarr"):
        done = av2a("score", path, *SCORE, "-o", tmp_path / "events.json", cwd=tmp_path)
        assert done.code == 0, done.err
        found_events = json.loads((tmp_path / "events.json").read_text())["events"]
        events.append(
            [(each["clip"], each["stream"], each["label"], each["onset"], each["offset"]) for each in found_events]
        )
    assert events[0] == events[1]
    assert {stream for _, stream, *_ in events[0]} == {"audio", "audiovisual"}


def test_the_command(world: Path, weights: Path, heard: Path, tmp_path: Path) -> None:
    """Bad files, exit codes, files that are new, and what cannot be gone on with."""
    folder = Path(shutil.copytree(world, tmp_path / "world"))
    (folder / "videos" / "broken.mp4").write_bytes(b"nothing")
    make_video(folder / "videos" / "mute.mp4", frames=20, fps=2, with_sound=False)
    words = ("extract", "--backbone", "pe_a_frame", "--checkpoint", weights, "--labels", "labels.txt", "-o", "h.zarr",
             "--device", "cpu")  # fmt: skip
    done = av2a(*words, cwd=folder)
    assert done.code == 3
    assert "note: pe_a_frame hears only" in done.err
    assert "failed: mute: mute.mp4: it has no sound" in done.err
    assert "h.zarr: 5 clips done, 2 failed" in done.out
    cache = FeatureCache.open(folder / "h.zarr")
    assert cache.kind == "probabilities"
    assert cache.dtype == "float32"
    assert cache.attributes["detected"] == {"frames_per_second": 25, "pooling": "mean"}
    shutil.copy(folder / "videos" / "yaks.mp4", folder / "videos" / "zebras.mp4")
    done = av2a(*words, cwd=folder)
    assert "h.zarr: 6 clips done, 2 failed" in done.out
    assert "(7 of them were there before)" in done.out
    rows = FeatureCache.open(folder / "h.zarr")
    before, now = (
        FeatureCache.open(heard).read(),
        rows.read([rows.clip_ids.index("yaks"), rows.clip_ids.index("zebras")]),
    )
    assert before.audio_probability is not None
    assert now.audio_probability is not None
    for each in now.audio_probability:
        np.testing.assert_array_equal(each, before.audio_probability[-1])
    assert av2a("verify", "h.zarr", cwd=folder).code == 0
    assert "detected.pooling 'mean', now 'max'" in refusal(*words, "--pooling", "max", cwd=folder)
    (folder / "labels.txt").write_text("Cat\nDog\n")
    assert "h.zarr holds what a detector heard of other labels" in refusal(*words, cwd=folder)
    line = refusal("text", "h.zarr", "--labels", "llp", "--checkpoint", weights, cwd=folder)
    assert "probabilities of its own labels" in line


@pytest.mark.parametrize("options", [{"device": "cpu,cpu"}, {"workers": 3}, {"shard_range": "i/2"}], ids=str)
def test_however_it_is_computed(
    world: Path, weights: Path, heard: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    for number in range(2 if "shard_range" in options else 1):
        more = {"shard_range": f"{number}/2"} if "shard_range" in options else options
        extract(world, weights, tmp_path / "other.zarr", **more)
    one, other = FeatureCache.open(heard).read(), FeatureCache.open(tmp_path / "other.zarr").read()
    np.testing.assert_array_equal(one.audio_probability, other.audio_probability)


def test_a_share_with_other_labels(world: Path, weights: Path, tmp_path: Path) -> None:
    extract(world, weights, tmp_path / "h.zarr", shard_range="0/2")
    (tmp_path / "others.txt").write_text("Cat\nDog\nCow\n")
    with pytest.raises(ExtractError, match="holds what a detector heard of other labels"):
        extract(world, weights, tmp_path / "h.zarr", shard_range="1/2", labels=tmp_path / "others.txt")
    assert (FeatureCache.open(tmp_path / "h.zarr").status() == PENDING).sum() == 2


def test_killed_and_gone_on_with(world: Path, weights: Path, tmp_path: Path) -> None:
    """Before one change of a file in fifteen; what is whole in the end equals one in one go."""
    (tmp_path / "two").mkdir()
    for name in ("birds.mp4", "short.mp4"):
        shutil.copy(world / "videos" / name, tmp_path / "two")

    def extracting(output: Path) -> list[object]:
        words = ("--backbone", "pe_a_frame", "--checkpoint", weights, "--labels", world / "labels.txt")
        return ["extract", tmp_path / "two", "-o", output, "--shard-size", 1, "--workers", 1, "--device", "cpu", *words]

    with Nursery(tmp_path / "log", HEAVY) as nursery:
        assert nursery.run(extracting(tmp_path / "whole.zarr")).code == 0
        expected = contents(tmp_path / "whole.zarr")

        def run(watch: tuple[object, ...]) -> Ended:
            return nursery.run(extracting(Path(str(watch[0])) / "f.zarr"), watch=watch)

        for place, number in kills(run, tmp_path / "killed", step=15):
            output = place / "f.zarr"
            if number:
                assert nursery.run(extracting(output)).code == 0
            assert contents(output) == expected


def test_max_and_half_precision(world: Path, weights: Path, heard: Path, tmp_path: Path) -> None:
    extract(world, weights, tmp_path / "max.zarr", pooling="max", dtype="float16")
    loudest, mean = FeatureCache.open(tmp_path / "max.zarr"), FeatureCache.open(heard)
    assert loudest.dtype == "float16"
    one, other = loudest.read().audio_probability, mean.read().audio_probability
    assert one is not None
    assert other is not None
    assert (one >= other - 1e-3).all()
    assert (one - other).max() > 0.1


def test_clips_of_other_lengths(world: Path, weights: Path, tmp_path: Path) -> None:
    extract(world, weights, tmp_path / "fives.zarr", clip_seconds=5)
    cache = FeatureCache.open(tmp_path / "fives.zarr")
    assert len(cache) == 9
    assert cache.segment_seconds == 0.5
    with pytest.raises(ExtractError, match=r"`clip_seconds=500`: pe_a_frame hears 400 s at once"):
        extract(world, weights, tmp_path / "long.zarr", clip_seconds=500)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"windows": "whole"}, "`windows='whole'`: pe_a_frame hears a clip as one"),
        ({"audio_segments": False}, "`audio_segments=False`: pe_a_frame hears"),
        ({"official_randomness": 1}, "`official_randomness=1`: pe_a_frame hears"),
        ({"pooling": "median"}, "pooling 'median': use mean or max"),
    ],
)
def test_options_without_meaning(
    world: Path, weights: Path, tmp_path: Path, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(ExtractError, match=said):
        extract(world, weights, tmp_path / "none.zarr", **options)
    assert not (tmp_path / "none.zarr").exists()


def test_pooling_is_for_detectors(world: Path, tmp_path: Path) -> None:
    with pytest.raises(ExtractError, match="`pooling='max'`: tiny gives embeddings"):
        extract_videos(world / "videos", tmp_path / "t.zarr", backbone="tiny", pooling="max")


def test_a_search_and_a_page(world: Path, heard: Path, tmp_path: Path) -> None:
    """What is heard can be searched, and moved on a page, as any detector's."""
    (tmp_path / "truth.csv").write_text("clip,stream,label,onset,offset\nbirds,audio,Yak,0,4\ncars,audio,Yak,2,6\n")
    truth = ("--dataset", "events", "--truth", "truth.csv")
    grid = ("--filter-threshold", "0:0.5:0.1", "--threshold-stage1", "0.3,0.4", "--threshold-stage2", 0.3)
    others = ("--alpha", 0.5, "--gamma", 1, "--objective", "segment-audio")
    done = av2a("search", heard, *truth, *grid, *others, cwd=tmp_path)
    assert done.code == 0, done.err
    with tuning(heard, *SCORE[1:], cwd=tmp_path) as page:
        state = page.state()
        assert state["cache"]["backbone"] == "pe_a_frame"


def test_check(weights: Path) -> None:
    found = check_backbone("pe_a_frame", weights, device="cpu")
    assert [(each.array, each.right) for each in found.verdicts] == [
        ("audio_probability", (label,)) for label in ("Siren", "Church bell", "Rain")
    ]
    assert not found.passed
    assert found.repeated


@given(
    segments=st.integers(1, 12),
    each=st.integers(1, 48).map(lambda eighths: eighths / 8),
    pooling=st.sampled_from(["mean", "max"]),
    seed=st.integers(0, 99),
)
def test_frames_to_segments(segments: int, each: float, pooling: str, seed: int) -> None:
    frames = math.ceil(segments * each)
    values = np.random.default_rng(seed).random((frames, 2), dtype=np.float32)
    found = pool_frames(values, segments, each, pooling)
    assert found.shape == (segments, 2)
    for segment in range(segments):
        inside = [k for k in range(1000) if segment * each <= k + 0.5 < (segment + 1) * each]
        inside = inside or [int((segment + 0.5) * each)]
        rows = values[inside]
        wanted = np.max(rows, axis=0) if pooling == "max" else np.mean(rows, axis=0, dtype=np.float64)
        np.testing.assert_allclose(found[segment], wanted, rtol=0, atol=1e-6)

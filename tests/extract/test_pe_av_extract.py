"""The `pe_av` backbone from video files to a cache and on to events: both at once, labels, resumed and refused runs."""

import json
import sys
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from extract import ExtractError, add_label_set, load_backbone
from extract.backbones.pe_av.backbone import PeAv
from extract.media.clip import ClipMedia, Views, decode_clip
from extract.run.encode import ARRAYS, encode_clips, prepare_clip
from extract.summary import Summary
from feature_cache import NO_PICTURE, NO_SOUND, FeatureCache, windows
from tests.command import av2a, refusal
from tests.extraction import assert_equal, extract, make_odd_clips
from tests.media import make_video, tone
from tests.pe_av_models import DIM, make_pe_av

CPU = torch.device("cpu")
RATE = 48_000
SETTINGS = ("--alpha", "0.5", "--filter-threshold", "0.1", "--threshold-stage1", "0.3", "--threshold-stage2", "0.3",
            "--gamma", "1")  # fmt: skip
OPTIONS: dict[str, Any] = {"backbone": "pe_av", "labels": "ov-avebench", "dtype": "float32"}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pe_av(tmp_path_factory.mktemp("weights") / "tiny")


@pytest.fixture(scope="module")
def backbone(weights: Path) -> PeAv:
    found = load_backbone("pe_av", weights)
    assert isinstance(found, PeAv)
    return found


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Odd ones, and one whose sound is shorter."""
    folder = make_odd_clips(tmp_path_factory.mktemp("clips"))
    make_video(folder / "d.mp4", frames=50, fps=5, rate=RATE, sound=tone(6.2, RATE, 1, 700), size=(96, 64))
    return folder


@pytest.fixture(scope="module")
def run(weights: Path, clips: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[FeatureCache, Summary]:
    path = tmp_path_factory.mktemp("cache") / "f.zarr"
    summary = extract(clips, path, weights, **OPTIONS, joint=True)
    return FeatureCache.open(path), summary


@pytest.fixture(scope="module")
def plain(weights: Path, clips: Path, tmp_path_factory: pytest.TempPathFactory) -> FeatureCache:
    """The same without."""
    path = tmp_path_factory.mktemp("plain") / "f.zarr"
    extract(clips, path, weights, **OPTIONS, workers=1)
    return FeatureCache.open(path)


class Counting:
    """A backbone's encoders, counting the rows that each is given."""

    def __init__(self, backbone: PeAv) -> None:
        self.backbone, self.rows = backbone, dict[str, list[tuple[int, ...]]]()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.backbone, name)
        if not name.startswith(("encode_", "embed_")):
            return found

        def counted(*inputs: Any) -> Any:
            self.rows.setdefault(name, []).append(tuple(getattr(inputs[0], "shape", (len(inputs[0]),))))
            return found(*inputs)

        return counted


def decoded(path: Path, backbone: PeAv) -> tuple[ClipMedia, Tensor]:
    """A clip, and its frames as they were prepared."""
    media = decode_clip(path, views=Views(backbone.prepare_frames), sample_rate=RATE, frames_per_window=8,
                        window_frames=backbone.window_frames)  # fmt: skip
    assert media.images is not None
    return media, media.images


def test_layout(run: tuple[FeatureCache, Summary], backbone: PeAv) -> None:
    cache, summary = run
    assert (summary.done, summary.failed) == (4, {})
    features = cache.read()
    assert features.joint is not None
    assert features.audio_segments is not None
    assert features.missing is not None
    assert features.image.shape == features.audio_segments.shape == (4, 10, DIM)
    assert features.video.shape == (4, 46, 1, DIM)
    assert features.audio.shape == features.joint.shape == (4, 46, DIM)
    assert features.missing.tolist() == [0, NO_SOUND, NO_PICTURE, 0]
    for name in ("image", "video", "audio", "audio_segments", "joint"):
        for clip in (0, 3):
            np.testing.assert_allclose(np.linalg.norm(getattr(features, name)[clip], axis=-1), 1, rtol=1e-5)
    assert not features.joint[1:3].any()
    assert not features.audio[1].any()
    assert not features.video[2].any()
    facts = cache.attributes
    assert facts["sampling"]["window_frames"].startswith("int(i*(n-1)/7)")
    assert facts["pe_av"] == backbone.attributes()["pe_av"]


def test_windows_one_at_a_time(run: tuple[FeatureCache, Summary], backbone: PeAv, clips: Path) -> None:
    """The efficient way and the direct one: every picture and sound through the whole encoders."""
    for row, name in ((0, "a.mp4"), (3, "d.mp4")):
        media, frames = decoded(clips / name, backbone)
        assert media.windows is not None
        assert media.segments is not None
        features = run[0].read([row])
        assert features.joint is not None
        assert features.audio_segments is not None
        found = backbone.encode_frames(frames[media.image_index])
        np.testing.assert_allclose(features.image[0], found.numpy(), atol=1e-5)
        for window in range(0, len(windows(10)), 5):
            pictures = frames[media.video_index[window]][None]
            found = backbone.encode_video(pictures)
            np.testing.assert_allclose(features.video[0, window], found.numpy(), atol=1e-5)
            sound = backbone.prepare_audio(media.windows[window : window + 1])
            found = backbone.encode_audio(sound)
            np.testing.assert_allclose(features.audio[0, window], found[0].numpy(), atol=1e-5)
            both = backbone.encode_joint(
                backbone.encode_frame_windows(backbone.embed_frames(pictures[0])[None]).states,
                backbone.encode_sound_windows(
                    backbone.embed_sounds(media.windows[window : window + 1])[0][None]
                ).states,
            )
            np.testing.assert_allclose(features.joint[0, window], both[0].numpy(), atol=1e-5)
        for segment in range(10):
            found = backbone.encode_audio(backbone.prepare_audio(media.segments[segment : segment + 1]))
            np.testing.assert_allclose(features.audio_segments[0, segment], found[0].numpy(), atol=1e-5)
        assert np.abs(features.joint[0, 0] - features.video[0, 0, 0]).max() > 1e-3


def test_each_distinct_frame_is_embedded_once(backbone: PeAv, clips: Path) -> None:
    media, frames = decoded(clips / "a.mp4", backbone)
    used = np.unique(np.concatenate([media.image_index, media.video_index.ravel()]))
    assert len(frames) == len(used) < 120
    assert media.videos is None
    clip = prepare_clip(backbone, media)
    counting = Counting(backbone)
    alone = encode_clips(counting, [clip], CPU, 16, (*ARRAYS, "joint"))[0]
    assert sum(shape[0] for shape in counting.rows["embed_frames"]) == len(frames)
    assert [shape[0] for shape in counting.rows["embed_sounds"]] == [10, 46]  # the segments, then the windows
    assert not {"encode_frames", "encode_video", "encode_audio"} & counting.rows.keys()
    assert sum(shape[0] for shape in counting.rows["encode_frame_windows"]) == 10 + 46
    assert sum(shape[0] for shape in counting.rows["encode_sound_windows"]) == 10 + 46
    assert sum(shape[0] for shape in counting.rows["encode_joint"]) == 46
    both = encode_clips(backbone, [clip, clip], CPU, 16, (*ARRAYS, "joint"))
    for name in (*ARRAYS, "joint"):
        for each in both:
            np.testing.assert_allclose(getattr(each, name), getattr(alone, name), atol=1e-5)


def test_equal_whoever_encodes(
    run: tuple[FeatureCache, Summary], plain: FeatureCache, weights: Path, clips: Path, tmp_path: Path
) -> None:
    """Other workers; with both at once and without; the sound of segments added later."""
    expected, found = run[0].read(), plain.read()
    assert found.joint is None
    assert_equal(found, expected)
    options = {**OPTIONS, "workers": 3, "joint": True}
    extract(clips, tmp_path / "f.zarr", weights, **options, audio_segments=False)
    extract(clips, tmp_path / "f.zarr", weights, **OPTIONS, add="audio-segments")
    again = FeatureCache.open(tmp_path / "f.zarr").read()
    assert_equal(again, expected)
    assert again.joint is not None
    np.testing.assert_array_equal(again.joint, expected.joint)


def test_a_run_that_goes_on(weights: Path, clips: Path, tmp_path: Path) -> None:
    """It keeps what the cache has; the other is refused."""
    path = tmp_path / "f.zarr"
    extract(clips / "a.mp4", path, weights, **OPTIONS, joint=True)
    extract(clips, path, weights, **OPTIONS)
    cache = FeatureCache.open(path)
    assert (len(cache), cache.joint_dim) == (4, DIM)
    with pytest.raises(
        ExtractError, match="was made with joint embeddings of picture and sound: leave out `joint=False`"
    ):
        extract(clips, path, weights, **OPTIONS, joint=False)


def test_asked_of_what_has_none(plain: FeatureCache, weights: Path, clips: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ExtractError, match=r"was made without joint embeddings .* leave out `joint=True`, or use another"
    ):
        extract(clips, Path(plain.path), weights, **OPTIONS, joint=True)
    with pytest.raises(ExtractError, match="backbone 'tiny' does not embed picture and sound at once"):
        extract(clips, tmp_path / "f.zarr", None, backbone="tiny", joint=True)  # type: ignore[arg-type]
    assert not (tmp_path / "f.zarr").exists()


def test_window_0_alone(run: tuple[FeatureCache, Summary], weights: Path, clips: Path, tmp_path: Path) -> None:
    extract(
        clips / "a.mp4", tmp_path / "f.zarr", weights, **OPTIONS, windows="whole", joint=True, official_randomness=1
    )
    features, expected = FeatureCache.open(tmp_path / "f.zarr").read(), run[0].read([0])
    assert features.joint is not None
    assert expected.joint is not None
    np.testing.assert_allclose(features.joint, expected.joint[:, :1], atol=1e-5)
    np.testing.assert_allclose(features.video, expected.video[:, :1], atol=1e-5)
    np.testing.assert_allclose(features.audio, expected.audio[:, :1], atol=1e-5)
    np.testing.assert_allclose(features.image, expected.image, atol=1e-5)


def test_clips_of_another_length(weights: Path, tmp_path: Path) -> None:
    """Frames by their times, segments that are no whole number of tokens long."""
    long = make_video(tmp_path / "long.mp4", frames=160, fps=12, sound=tone(13.4, 16_000), size=(64, 48))
    extract(long, tmp_path / "f.zarr", weights, **OPTIONS, clip_seconds=6.7, joint=True)
    cache = FeatureCache.open(tmp_path / "f.zarr")
    assert list(cache.clip_ids) == ["long#0", "long#1"]
    features = cache.read()
    for name in ("video", "audio", "audio_segments", "joint"):
        np.testing.assert_allclose(np.linalg.norm(getattr(features, name), axis=-1), 1, rtol=1e-5)


def test_sixteen_frames(clips: Path, tmp_path: Path) -> None:
    folder = make_pe_av(tmp_path / "16", frames=16)
    extract(clips / "a.mp4", tmp_path / "f.zarr", folder, **{**OPTIONS, "backbone": "pe_av_base_16_frame"})
    cache = FeatureCache.open(tmp_path / "f.zarr")
    assert cache.backbone == "pe_av_base_16_frame"
    assert cache.attributes["sampling"]["window_0_frames"].startswith("int(i*(n-1)/15)")
    backbone = load_backbone("pe_av_base_16_frame", folder)
    media = decode_clip(clips / "a.mp4", views=Views(backbone.prepare_frames), sample_rate=RATE, frames_per_window=16,
                        window_frames=backbone.window_frames)  # type: ignore[attr-defined] # fmt: skip
    assert media.images is not None
    found = backbone.encode_video(media.images[media.video_index[[0, 7]]])  # type: ignore[attr-defined]
    np.testing.assert_allclose(cache.read().video[0, [0, 7], 0], found.numpy(), atol=1e-5)


def test_labels(run: tuple[FeatureCache, Summary], plain: FeatureCache, weights: Path, tmp_path: Path) -> None:
    """Three tables where there are joint embeddings, two elsewhere; in lower case, underscores as spaces."""
    (tmp_path / "mine.txt").write_text("Dog\nTrain_horn\n")
    backbone = load_backbone("pe_av", weights)
    assert isinstance(backbone, PeAv)
    for cache in (run[0], plain):
        add_label_set(cache.path, tmp_path / "mine.txt", "mine", checkpoint=weights)
        text = FeatureCache.open(cache.path).text("mine")
        seen = ["A dog", "A train horn"]
        assert list(text.prompts["visual"]) == seen
        assert list(text.prompts["audio"]) == ["This is a sound of dog", "This is a sound of train horn"]
        np.testing.assert_array_equal(text.visual, backbone.encode_visual_text(seen).numpy())
        np.testing.assert_array_equal(text.audio, backbone.encode_audio_text(list(text.prompts["audio"])).numpy())
        if cache is plain:
            assert text.joint is None
            assert "joint" not in text.prompts
        else:
            assert list(text.prompts["joint"]) == seen
            np.testing.assert_array_equal(text.joint, backbone.encode_joint_text(seen).numpy())
    again = add_label_set(run[0].path, tmp_path / "mine.txt", "mine", checkpoint=weights)
    assert not again.new


def test_several_prompts(run: tuple[FeatureCache, Summary], weights: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("Dog\nYak\n")
    add_label_set(run[0].path, tmp_path / "mine.txt", "two", ["{label}", "a {label}"], checkpoint=weights)
    text = FeatureCache.open(run[0].path).text("two")
    assert text.joint is not None
    assert [list(group) for group in text.prompts["joint"]] == [["dog", "a dog"], ["yak", "a yak"]]
    np.testing.assert_allclose(np.linalg.norm(text.joint, axis=1), 1, rtol=1e-5)


def test_labels_that_are_cut(run: tuple[FeatureCache, Summary], weights: Path, tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_text("Dog\n" + "y" * 600 + "\n")
    added = add_label_set(run[0].path, tmp_path / "long.txt", "long", checkpoint=weights)
    assert len(added.notes) == 1
    assert added.notes[0].startswith("longer than pe_av reads, for pictures and sound and both at once")


def test_the_process_that_embeds_labels(run: tuple[FeatureCache, Summary], weights: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-P", "-m", "extract.label_worker", run[0].path, "--checkpoint", str(weights)]
    asked = json.dumps({"labels": ["Dog", "Yak"], "name": "worker"}) + "\n"
    with Popen(words, cwd=tmp_path, stdin=PIPE, stdout=PIPE, text=True, encoding="utf-8") as process:
        out, _ = process.communicate(asked, timeout=600)
    ready, answer = map(json.loads, out.splitlines())
    assert ready == {"ready": True}
    assert (answer["labels"], answer["new"]) == (2, True)
    text = FeatureCache.open(run[0].path).text("worker")
    assert text.joint is not None
    assert text.joint.shape == (2, DIM)


def test_other_weights(run: tuple[FeatureCache, Summary], tmp_path: Path) -> None:
    other = make_pe_av(tmp_path / "other", seed=1)
    (tmp_path / "mine.txt").write_text("Dog\nYak\n")
    with pytest.raises(ExtractError, match=r"was made with other weights \(pe_av\.sha256"):
        add_label_set(run[0].path, tmp_path / "mine.txt", "other", checkpoint=other)


def test_from_the_command_line(weights: Path, clips: Path, tmp_path: Path) -> None:
    words = ("--backbone", "pe_av", "--checkpoint", weights, "--labels", "ov-avebench", "--device", "cpu")
    done = av2a("extract", clips, *words, "--joint", cwd=tmp_path)
    assert done.code == 0, done.err
    assert "ERROR" not in done.out + done.err
    line = refusal("extract", clips, *words, "--no-joint", cwd=tmp_path)
    assert "leave out --no-joint" in line
    (tmp_path / "mine.txt").write_text("Dog\nYak\n")
    assert av2a("text", "--labels", "mine.txt", "--checkpoint", weights, cwd=tmp_path).code == 0
    line = refusal("score", cwd=tmp_path)
    assert "no published settings for backbone 'pe_av'" in line
    found = {}
    for how in ("mixed", "joint"):
        scored = av2a(
            "score", *SETTINGS, "--text", "ov-avebench", "--audiovisual", how, "-o", f"{how}.json", cwd=tmp_path
        )
        assert scored.code == 0, scored.err
        found[how] = json.loads((tmp_path / f"{how}.json").read_text())
    assert found["mixed"] != found["joint"]
    listed = av2a("backbones", "--json", cwd=tmp_path).json()["pe_av"]
    assert (listed["visual_dim"], listed["installed"], listed["licence"]) == (1024, True, "")
    assert "joint" in listed["about"]


def test_no_weights(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    line = refusal("extract", clips, "--backbone", "pe_av_small", cwd=tmp_path)
    assert "no weights of facebook/pe-av-small here" in line
    assert "--checkpoint DIR" in line

"""Any image model of open_clip: pixels and embeddings as its own, names, folders, the hub's cache, what is refused."""

import itertools
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from extract import ExtractError, list_image_models, load_backbone, with_models
from extract.backbones.clip_clap.fitting import Fitting
from extract.backbones.clip_clap.image_models import find_image_model, licence_of
from extract.backbones.pixels import normalise
from extract.backbones.weights import quiet
from extract.label_embeddings import encode_labels
from tests.image_models import FAMILIES, PREPROCESS, make_image_model, weights_of

CLAP = "laion/clap-htsat-unfused"


def picture(height: int, width: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Waves with noise: smooth and rough places, uint8 (height, width, 3)."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = [128 + 90 * np.sin(x / (3 + 5 * c) + c) * np.cos(y / (4 + 3 * c)) for c in range(3)]
    noisy = np.stack(waves, -1) + random.normal(0, 25, (height, width, 3))
    return np.clip(np.round(noisy), 0, 255).astype(np.uint8)


def frames_of(array: np.ndarray[Any, np.dtype[np.uint8]]) -> Tensor:
    return torch.from_numpy(array).permute(2, 0, 1)[None]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of each family; not to be changed."""
    home = tmp_path_factory.mktemp("models")
    for family in FAMILIES:
        make_image_model(home / family, family)
    return home


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The families as models of open_clip's own, with tags."""
    import open_clip
    from open_clip import factory, pretrained

    folder = tmp_path / "configs"
    folder.mkdir()
    for name, config in FAMILIES.items():
        (folder / f"{name}.json").write_text(json.dumps(config))
    (folder / "tiny-clip-quickgelu.json").write_text(json.dumps({**FAMILIES["tiny-clip"], "quick_gelu": True}))
    monkeypatch.setattr(factory, "_MODEL_CONFIG_PATHS", list(factory._MODEL_CONFIG_PATHS))
    before = dict(factory._MODEL_CONFIGS)
    open_clip.add_model_config(folder)
    plain = {"mean": [0.5] * 3, "std": [0.25] * 3, "interpolation": "bicubic", "resize_mode": "shortest"}
    quick = {**plain, "hf_hub": "somebody/tiny-quick/", "quick_gelu": True}
    webli = {**PREPROCESS["tiny-siglip"], "hf_hub": "somebody/tiny-siglip/"}
    monkeypatch.setitem(pretrained._PRETRAINED, "tiny-siglip", {"webli": webli})
    several = {"one": {**plain, "hf_hub": "somebody/tiny-one/tiny.bin"}, "quick_two": quick}
    monkeypatch.setitem(pretrained._PRETRAINED, "tiny-clip", several)
    monkeypatch.setitem(pretrained._PRETRAINED, "tiny-clip-quickgelu", {"quick_two": quick})
    monkeypatch.setitem(pretrained._PRETRAINED, "tiny-coca", {"x": plain, "y": {**plain, "std": [0.5] * 3}})
    yield
    factory._MODEL_CONFIGS = before


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub cache without a network."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def put(hub: Path, repository: str, folder: Path, *names: str) -> None:
    """A repository into the cache, with some of a folder's files, or all."""
    home = hub / f"models--{repository.replace('/', '--')}"
    snapshot = home / "snapshots" / ("0123456789" * 4)
    snapshot.mkdir(parents=True)
    for path in folder.iterdir():
        if path.is_file() and (not names or path.name in names):
            shutil.copy(path, snapshot)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text("0123456789" * 4)


@pytest.mark.parametrize("size", [(64, 64), (48, 80), (80, 48)])
@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("how", ["bicubic", "bilinear"])
def test_pixels_are_those_of_open_clip(size: tuple[int, int], mode: str, how: str) -> None:
    """Of its transform, on pictures as videos have them: to the bit."""
    from open_clip.transform import PreprocessCfg, image_transform_v2
    from PIL import Image

    for shape, fill in itertools.product([(240, 320), (72, 128), (50, 60), (64, 64)], (0, 117)):
        config = PreprocessCfg(
            size=size, interpolation=how, resize_mode=mode, fill_color=fill, mean=(0.5, 0.4, 0.3), std=(0.5, 0.2, 0.3)
        )
        if mode == "squash" and shape[0] * size[1] > shape[1] * size[0]:
            continue  # Pillow 13 goes over columns first where that costs less
        array = picture(*shape)
        fitting = Fitting.of(vars(config))
        found = normalise(fitting(frames_of(array)), fitting.mean, fitting.std)[0]
        assert torch.equal(found, image_transform_v2(config, is_train=False)(Image.fromarray(array))), (shape, fill)


@given(
    height=st.integers(1, 90), width=st.integers(1, 90), size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    mode=st.sampled_from(["shortest", "longest", "squash"]),
)  # fmt: skip
def test_pictures_of_any_shape_fit(height: int, width: int, size: tuple[int, int], mode: str) -> None:
    fitting = Fitting(*size, (0.0,) * 3, (1.0,) * 3, resize_mode=mode)
    found = fitting(torch.full((2, 3, height, width), 7, dtype=torch.uint8))
    assert found.shape == (2, 3, *size)
    assert set(found.flatten().tolist()) <= {0, 7}
    assert mode == "longest" or (found == 7).all()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"interpolation": "nearest"}, "interpolation 'nearest'"),
        ({"resize_mode": "crop"}, "resize_mode 'crop'"),
        ({"mean": [1, 2]}, "three numbers each"),
        ({"fill_color": 256}, "fill_color 256"),
    ],
)
def test_preparations_that_are_none(change: dict[str, Any], said: str) -> None:
    stored = {"size": 8, "mean": 0.5, "std": 0.5, "interpolation": "random", "resize_mode": None, **change}
    with pytest.raises(ValueError, match=said):
        Fitting.of(stored)


@pytest.mark.parametrize("family", FAMILIES)
def test_embeddings_are_those_of_open_clip(family: str, models: Path, checkpoint: Path) -> None:
    """Its model on its transform of the same picture, and its tokenizer's words, at unit length."""
    import open_clip
    from PIL import Image

    folder = models / family
    backbone = load_backbone(with_models("clip_clap", f"local-dir:{folder}", f"local-dir:{checkpoint / 'clap'}"))
    array, lines = picture(72, 128), ["A dog barks.", "a Train_horn", "x" * 500]
    more: dict[str, Any] = {}
    if family == "tiny-roberta":  # open_clip would ask the hub
        text = FAMILIES[family]["text_cfg"]
        more["text_cfg"] = {**text, "hf_model_name": str(folder / "tiny-roberta"), "hf_model_pretrained": False}
    with quiet(), torch.inference_mode():
        model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{folder}", **more)
        if family == "tiny-roberta":
            tokenizer: Any = open_clip.tokenizer.HFTokenizer(str(folder / "tiny-roberta"), context_length=77)
        else:
            tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
        model.eval()
        seen = model.encode_image(transform(Image.fromarray(array))[None], normalize=True)
        read = model.encode_text(tokenizer(lines), normalize=True)
    found = backbone.encode_frames(backbone.prepare_frames(frames_of(array)))
    assert (backbone.visual_dim, backbone.audio_dim) == (found.shape[1], 20)
    torch.testing.assert_close(found, seen, atol=1e-5, rtol=0)
    torch.testing.assert_close(backbone.encode_visual_text(lines), read, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(1))
    assert backbone.sentences_cut("visual", lines) == [False, False, True]  # type: ignore[attr-defined]


def test_what_a_cache_says_of_them(models: Path, checkpoint: Path) -> None:
    backbone = load_backbone(
        with_models("clip_clap", f"local-dir:{models / 'tiny-siglip'}", f"local-dir:{checkpoint / 'clap'}")
    )
    assert backbone.name == "clip_clap:local-dir:tiny-siglip+local-dir:clap"
    facts = backbone.attributes()
    assert json.loads(json.dumps(facts)) == facts
    assert str(models) not in json.dumps(facts)
    clip = facts["clip"]
    assert (clip["model"], clip["vectors"]) == ("local-dir:tiny-siglip", "unit length")
    assert (clip["image_size"], clip["resize_mode"], clip["context_length"]) == ([160, 160], "squash", 16)
    assert facts["clap"]["model"] == "local-dir:clap"
    assert backbone.text.unit_visual
    several = encode_labels(backbone, ["dog", "cat"], ["A {label}", "the {label}"])  # unit vectors may be averaged
    np.testing.assert_allclose(np.linalg.norm(several.visual, axis=1), 1, rtol=1e-5)


def test_the_usual_pair_by_name(checkpoint: Path, models: Path, hub: Path) -> None:
    """The usual models, named, are what they are without names; beside another CLAP pictures stay as they are."""
    usual = load_backbone("clip_clap", checkpoint)
    frames = frames_of(picture(40, 60))
    for image in ("ViT-B-32-quickgelu:openai", "ViT-B-32:openai"):
        named = load_backbone(with_models("clip_clap", image, CLAP), checkpoint)
        assert (named.name, named.attributes()) == ("clip_clap", usual.attributes())
    other = load_backbone(with_models("clip_clap", audio_model=f"local-dir:{checkpoint / 'clap'}"), checkpoint)
    assert other.name == "clip_clap:ViT-B-32-quickgelu:openai+local-dir:clap"
    assert other.attributes()["clip"]["vectors"] == "as the encoder gives them"
    assert not other.text.unit_visual
    seen = [each.encode_frames(each.prepare_frames(frames)) for each in (usual, other)]
    assert torch.equal(*seen)
    mixed = load_backbone(with_models("clip_clap", f"local-dir:{models / 'tiny-coca'}"), checkpoint)
    assert mixed.name == f"clip_clap:local-dir:tiny-coca+{CLAP}"


def test_from_the_hubs_cache(models: Path, checkpoint: Path, hub: Path, known: None) -> None:
    """A tag's weights, its tokenizer from another repository, and a CLAP, none of them asked for over a network."""
    name = with_models("clip_clap", "tiny-siglip", "laion/larger_clap_general")
    with pytest.raises(ExtractError, match=r"no weights of somebody/tiny-siglip here"):
        load_backbone(name)
    put(hub, "somebody/tiny-siglip", models / "tiny-siglip", "open_clip_model.safetensors")
    with pytest.raises(ExtractError, match=r"tiny-siglip:webli needs its tokenizer, somebody/tiny-words, which is not"):
        load_backbone(name)
    put(hub, "somebody/tiny-words", models / "tiny-siglip", "tokenizer.json", "tokenizer_config.json")
    with pytest.raises(ExtractError, match=r"no weights of laion/larger_clap_general here"):
        load_backbone(name)
    put(hub, "laion/larger_clap_general", checkpoint / "clap")
    backbone = load_backbone(name)
    assert backbone.name == "clip_clap:tiny-siglip:webli+laion/larger_clap_general"
    assert load_backbone(backbone.name).attributes() == backbone.attributes()
    local = with_models("clip_clap", f"local-dir:{models / 'tiny-siglip'}", f"local-dir:{checkpoint / 'clap'}")
    same, frames = load_backbone(local), frames_of(picture(50, 70))
    assert torch.equal(
        backbone.encode_frames(backbone.prepare_frames(frames)), same.encode_frames(same.prepare_frames(frames))
    )
    put(hub, "somebody/all", models / "tiny-siglip")
    described = load_backbone(with_models("clip_clap", "hf-hub:somebody/all", "laion/larger_clap_general"))
    assert described.name == "clip_clap:hf-hub:somebody/all+laion/larger_clap_general"
    assert described.attributes()["clip"]["sha256"] == backbone.attributes()["clip"]["sha256"]


def test_from_a_checkpoint_folder(models: Path, checkpoint: Path, hub: Path, known: None, tmp_path: Path) -> None:
    """clip/ may be a whole folder of open_clip, or hold a plain file of weights; its preparation is the tag's, then."""
    folder = Path(shutil.copytree(checkpoint, tmp_path / "weights"))
    shutil.rmtree(folder / "clip")
    shutil.copytree(models / "tiny-coca", folder / "clip")
    whole = load_backbone(with_models("clip_clap", "tiny-coca"), folder)
    assert whole.name == f"clip_clap:tiny-coca+{CLAP}"
    facts = whole.attributes()["clip"]
    assert facts["resize_mode"] == "longest"
    (folder / "clip" / "open_clip_config.json").unlink()
    weights_of(folder / "clip").rename(folder / "clip" / "mine.safetensors")
    plain = load_backbone(with_models("clip_clap", "tiny-coca:x"), folder)
    assert plain.attributes()["clip"]["resize_mode"] == "shortest"
    assert plain.attributes()["clip"]["sha256"] == facts["sha256"]
    with pytest.raises(ExtractError, match=r"tiny-coca: its tags prepare pictures in 2 ways") as caught:
        load_backbone(with_models("clip_clap", "tiny-coca"), folder)
    assert "`image_model='tiny-coca:TAG'` (x, y)" in str(caught.value)
    with pytest.raises(ExtractError, match=r"has no clip/ and no clap/: weights are looked for there"):
        load_backbone(with_models("clip_clap", "tiny-coca:x"), models)
    (folder / "clip" / "other.pt").write_bytes(b"?")
    with pytest.raises(ExtractError, match=r"one file of weights is expected.* there is mine.safetensors, other.pt"):
        load_backbone(with_models("clip_clap", "tiny-coca:x"), folder)


def test_weights_of_other_kinds_of_files(models: Path, checkpoint: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    audio = f"local-dir:{checkpoint / 'clap'}"
    expected = load_backbone(with_models("clip_clap", f"local-dir:{models / 'tiny-clip'}", audio))
    frames = frames_of(picture(50, 70))
    folder = Path(shutil.copytree(models / "tiny-clip", tmp_path / "pickled"))
    state = load_file(weights_of(folder))
    weights_of(folder).unlink()
    torch.save({"state_dict": {f"module.{name}": tensor for name, tensor in state.items()}}, folder / "epoch_3.pt")
    found = load_backbone(with_models("clip_clap", f"local-dir:{folder}", audio))
    assert found.attributes()["clip"]["file"] == "epoch_3.pt"
    seen = [each.encode_frames(each.prepare_frames(frames)) for each in (found, expected)]
    assert torch.equal(*seen)


def test_names(known: None) -> None:
    assert find_image_model("tiny-siglip") == find_image_model("tiny-siglip:WebLI") == "tiny-siglip:webli"
    assert find_image_model("tiny-clip:one") == "tiny-clip:one"
    assert find_image_model("tiny-clip:quick-two") == "tiny-clip-quickgelu:quick_two"
    assert find_image_model("tiny-wide", weights_here=True) == "tiny-wide"
    assert find_image_model("ViT-B/32:openai") == "ViT-B-32-quickgelu:openai"
    assert find_image_model("ViT-SO400M-16-SigLIP2-384") == "ViT-SO400M-16-SigLIP2-384:webli"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("tiny-siglp", r"has no image model 'tiny-siglp' \(nearest: tiny-siglip, .*`list_image_models\(\)` lists them"),
        ("?", r"has no image model '\?': `list_image_models"),
        ("tiny-clip", r"`image_model='tiny-clip:TAG'` needs one of its tags, or .* its weights: one, quick_two"),
        ("tiny-clip:two", r"tiny-clip has no weights 'two'.*: its tags are one, quick_two"),
        ("tiny-clip:onee", r"tiny-clip has no weights 'onee' \(nearest: one\): its tags are one, quick_two"),
        ("tiny-wide", r"open_clip knows no weights of tiny-wide: place yours in DIR/clip/"),
        ("tiny-wide:a", r"tiny-wide has no weights 'a': its tags are none"),
        ("ViT-B-32", r"needs one of its tags, or .* its weights: openai, laion400m_e31, .* \(\d+ of them\)$"),
    ],
)
def test_names_that_are_refused(asked: str, said: str, known: None) -> None:
    with pytest.raises(ExtractError, match=said) as caught:
        find_image_model(asked)
    assert len(str(caught.value)) <= 300


def test_what_there_is(known: None) -> None:
    every = {model.name: model for model in list_image_models()}
    assert len(every) > 100
    assert every["tiny-clip"].tags == ("one", "quick_two")
    assert (every["tiny-wide"].dim, every["tiny-wide"].height, every["tiny-wide"].width) == (24, 32, 48)
    found = list_image_models("QUICK_two")
    assert [(model.name, model.tags) for model in found] == [
        ("tiny-clip", ("quick_two",)), ("tiny-clip-quickgelu", ("quick_two",)),
    ]  # fmt: skip
    assert list_image_models("no such") == []
    assert [model.tags for model in list_image_models("tiny-coca")] == [("x", "y")]


@pytest.mark.parametrize(
    ("family", "other", "said"),
    [
        ("tiny-clip", "tiny-coca", r"tensors are missing \(.*, …\); \d+ tensors are unknown \(.*, …\)"),
        ("tiny-siglip", "tiny-clip", r"tensors are missing \(.*trunk.*tensors are unknown \("),
        ("tiny-coca", "tiny-siglip", r"tensors are missing"),
    ],
)
def test_weights_of_another_model(
    family: str, other: str, said: str, models: Path, checkpoint: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(models / family, tmp_path / "mixed"))
    shutil.copy(weights_of(models / other), weights_of(folder))
    with pytest.raises(ExtractError, match=said) as caught:
        load_backbone(with_models("clip_clap", f"local-dir:{folder}", f"local-dir:{checkpoint / 'clap'}"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("open_clip_model.safetensors", b"?", "cannot be loaded as local-dir:damaged"),
        ("open_clip_model.safetensors", None, "one file of weights is expected, .*; there is none"),
        ("open_clip_config.json", b"{", "describes no model of open_clip"),
        ("open_clip_config.json", b'{"model_cfg": {"text_cfg": {}}}', "no model can be built of it"),
        ("open_clip_config.json", None, "has no open_clip_config.json"),
        ("tokenizer.json", b"{", "no tokenizer can be read from it for local-dir:damaged"),
    ],
)
def test_damaged_folders(
    name: str, content: bytes | None, said: str, models: Path, checkpoint: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(models / "tiny-siglip", tmp_path / "damaged"))
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(ExtractError, match=said) as caught:
        load_backbone(with_models("clip_clap", f"local-dir:{folder}", f"local-dir:{checkpoint / 'clap'}"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "image", "audio", "said"),
    [
        ("tiny", "ViT-B-16:openai", None, "backbone 'tiny' takes no image or audio model of choice"),
        ("clip_clap", "", None, "`image_model=''` is none"),
        ("clip_clap", "a+b", None, r"`image_model='a\+b'` is none"),
        ("clip_clap", None, "a\nb", "`audio_model='a.nb'` is none"),
        ("clip_clip", "ViT-B-16:openai", None, r"unknown backbone 'clip_clip' \(nearest: clip_clap\): use one of"),
    ],
)
def test_models_that_cannot_be(name: str, image: str | None, audio: str | None, said: str) -> None:
    with pytest.raises(ExtractError, match=said):
        load_backbone(with_models(name, image, audio))


def test_licences() -> None:
    assert licence_of("ViT-SO400M-16-SigLIP2-384:webli") == licence_of("ViT-B-32-quickgelu:openai") == ""
    assert "CC BY-NC" in licence_of("ViT-B-32-quickgelu:metaclip_400m")
    assert "research" in licence_of("ViT-H-14-378-quickgelu:dfn5b")


def test_beside_a_laion_checkpoint(models: Path, tmp_path: Path, hub: Path) -> None:
    """A .pt of laion_clap may hear for any image model."""
    from tests.laion_models import laion_state, random_clap, save_laion, write_vocabulary

    write_vocabulary(tmp_path)
    with quiet():
        file = save_laion(tmp_path / "made.pt", laion_state(random_clap()))
    name = with_models("clip_clap", f"local-dir:{models / 'tiny-clip'}")
    backbone = load_backbone(name, clap_checkpoint=file)
    facts = backbone.attributes()["clap"]
    assert (backbone.visual_dim, facts["file"], facts["model"]) == (24, "made.pt", CLAP)


def test_the_sound_of_segments_is_added_by_the_same_models(
    models: Path, checkpoint: Path, tmp_path: Path, videos: Path
) -> None:
    """To a cache whose models lie in folders, which it is told again, or in the working folder."""
    from extract import extract_videos
    from feature_cache import FeatureCache

    options: dict[str, Any] = {
        "image_model": f"local-dir:{models / 'tiny-clip'}", "audio_model": f"local-dir:{checkpoint / 'clap'}",
        "device": "cpu", "windows": "whole",
    }  # fmt: skip
    whole, grown = tmp_path / "whole.zarr", tmp_path / "grown.zarr"
    extract_videos(videos, whole, **options)
    extract_videos(videos, grown, audio_segments=False, **options)
    with pytest.raises(ExtractError, match=r"tiny-clip has no open_clip_config.json: name its folder"):
        extract_videos(videos, grown, add="audio-segments", device="cpu", windows="whole")
    extract_videos(videos, grown, add="audio-segments", **options)
    added, expected = FeatureCache.open(grown), FeatureCache.open(whole)
    assert added.backbone == expected.backbone == "clip_clap:local-dir:tiny-clip+local-dir:clap"
    assert added.clip_ids == expected.clip_ids
    assert added.read().audio_segments is not None
    np.testing.assert_array_equal(added.read().audio_segments, expected.read().audio_segments)

"""Checkpoints of laion_clap in `clip_clap`, without that package: the key map, and what is refused."""

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from extract import ExtractError
from extract.backbones.clip_clap import laion_backbone as clip_laion_clap
from extract.backbones.clip_clap.clap_tower import ClapTower
from extract.backbones.clip_clap.laion_checkpoint import clap_state_from_laion, read_laion_file
from extract.backbones.weights import quiet
from tests.laion_models import laion_state, random_clap, save_laion, write_vocabulary

CPU = torch.device("cpu")
GOLDEN = Path(__file__).parents[1] / "golden" / "clip_clap" / "logmel.npz"
PROMPTS = ["This is a sound of church bell", "This is a sound of Frying_(food)"]
POSITIONS = "text_branch.embeddings.position_ids"


@pytest.fixture(scope="module")
def clap() -> Any:
    with quiet():
        return random_clap()


@pytest.fixture
def state(clap: Any) -> dict[str, Tensor]:
    return laion_state(clap)


@pytest.fixture
def file(state: dict[str, Tensor], tmp_path: Path) -> Path:
    write_vocabulary(tmp_path)
    return save_laion(tmp_path / "made.pt", state)


def test_the_map_gives_every_tensor_back(clap: Any, state: dict[str, Tensor]) -> None:
    found = clap_state_from_laion(state)
    expected = {name: tensor for name, tensor in clap.state_dict().items() if not name.endswith("_ids")}
    assert set(found) == set(expected)
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name
    prefixed = clap_state_from_laion({f"module.{name}": tensor for name, tensor in state.items()})
    assert set(prefixed) == set(found)


def test_same_embeddings(clap: Any, file: Path) -> None:
    tower = ClapTower.from_laion_file(file, CPU, "float32")
    assert (tower.dim, tower.mel.window_samples, tower.mel.lowest) == (20, 480_000, 50.0)
    with np.load(GOLDEN) as golden:
        kinds = ("noise_2s", "noise_3s", "sweep_5s")
        waves = [torch.from_numpy(golden[f"{kind}_wave"]) for kind in kinds]
        mels = torch.stack([torch.from_numpy(golden[f"{kind}_mel"]) for kind in kinds])
    found = tower.encode_audio(tower.prepare_audio(waves))
    tokens = tower._tokenizer(PROMPTS, padding="max_length", max_length=77, return_tensors="pt")
    with torch.inference_mode():
        expected = clap.get_audio_features(tower.prepare_audio(waves)[:, None]).pooler_output
        official = clap.get_audio_features(mels[:, None]).pooler_output
        text = clap.get_text_features(**tokens).pooler_output
    assert (expected[0] - expected[2]).abs().max() > 0.01  # sounds are told apart
    assert (text[0] - text[1]).abs().max() > 0.01
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(found, official, atol=1e-4, rtol=0)
    torch.testing.assert_close(tower.encode_text(PROMPTS), text, atol=1e-6, rtol=0)
    facts = tower.attributes()
    assert facts["file"] == "made.pt"
    assert facts["log_mel"]["fft_size"] == 1024


def test_tokens_are_those_of_roberta(file: Path) -> None:
    tower = ClapTower.from_laion_file(file, CPU, "float32")
    tokens = tower._tokenizer(["a b"])["input_ids"][0]
    words = tower._tokenizer.convert_ids_to_tokens(tokens)
    assert words == ["<s>", "a", "Ġ", "b", "</s>"]
    (file.parent / "tokenizer_config.json").write_text('{"model_max_length": 512}')  # names no class
    again = ClapTower.from_laion_file(file, CPU, "float32")
    assert again._tokenizer(["a b"])["input_ids"][0] == tokens


def test_tokenizer_in_a_folder_beside(file: Path) -> None:
    expected = ClapTower.from_laion_file(file, CPU, "float32").encode_text(PROMPTS)
    beside = file.parent / "roberta-base"
    beside.mkdir()
    for name in ("vocab.json", "merges.txt"):
        (file.parent / name).rename(beside / name)
    assert torch.equal(ClapTower.from_laion_file(file, CPU, "float32").encode_text(PROMPTS), expected)


def test_tokenizer_of_another_kind(file: Path, checkpoint: Path) -> None:
    """One that save_pretrained wrote, in one file, with the name of its class."""
    for name in ("vocab.json", "merges.txt"):
        (file.parent / name).unlink()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (file.parent / name).write_bytes((checkpoint / "clap" / name).read_bytes())
    tower = ClapTower.from_laion_file(file, CPU, "float32")
    assert len(tower._tokenizer) == 260
    (file.parent / "tokenizer.json").write_text("{")
    with pytest.raises(ExtractError, match="no tokenizer can be read from it"):
        ClapTower.from_laion_file(file, CPU, "float32")


def test_tokenizer_from_the_hub(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    expected = ClapTower.from_laion_file(file, CPU, "float32").encode_text(PROMPTS)
    home = tmp_path / "hub" / "models--roberta-base"
    cached = home / "snapshots" / ("0123456789" * 4)
    write_vocabulary(cached)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(cached.name)
    for name in ("vocab.json", "merges.txt"):
        (file.parent / name).unlink()
    assert torch.equal(ClapTower.from_laion_file(file, CPU, "float32").encode_text(PROMPTS), expected)
    (cached / "merges.txt").unlink()
    with pytest.raises(ExtractError, match=r"made\.pt: its tokenizer roberta-base is not here .*place vocab.json"):
        ClapTower.from_laion_file(file, CPU, "float32")


def test_bare_and_without_counter(state: dict[str, Tensor], file: Path, tmp_path: Path) -> None:
    """A state dict alone, made with a transformers that keeps no position counter, in half precision."""
    bare = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    del bare[POSITIONS]
    torch.save(bare, tmp_path / "bare.pt")
    found = ClapTower.from_laion_file(tmp_path / "bare.pt", CPU, "float32").encode_text(PROMPTS)
    assert found.dtype == torch.float32
    expected = ClapTower.from_laion_file(file, CPU, "float32").encode_text(PROMPTS)
    torch.testing.assert_close(found, expected, atol=0.01, rtol=0)


def _without(name: str) -> Callable[[dict[str, Tensor]], None]:
    def change(state: dict[str, Tensor]) -> None:
        del state[name]

    return change


def _with(name: str, *shape: int) -> Callable[[dict[str, Tensor]], None]:
    def change(state: dict[str, Tensor]) -> None:
        state[name] = torch.zeros(shape)

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_without("audio_projection.0.weight"), r"1 tensors are missing \(audio_projection\.linear1\.weight\)"),
        (_without("audio_branch.bn0.weight"), r"1 tensors are missing \(audio_branch\.bn0\.weight\)"),
        (_with("audio_branch.extra.weight", 3), r"1 tensors are unknown \(audio_branch\.extra\.weight\)"),
        (_with("visual.proj", 3), r"1 tensors are unknown \(visual\.proj\)"),
        (_with("text_projection.2.weight", 20, 21), r"of another shape \(text_projection\.linear2\.weight\)"),
        (_with("audio_branch.layers.0.blocks.0.attn.qkv.bias", 45), r"3 tensors are of another shape"),
        (_with("audio_branch.patch_embed.fusion_model.x", 3), "a CLAP with fusion; use one without"),
        (lambda state: state.clear(), "it has no audio_branch tensors"),
    ],
)
def test_other_tensors_are_refused(
    change: Callable[[dict[str, Tensor]], None], said: str, state: dict[str, Tensor], tmp_path: Path
) -> None:
    write_vocabulary(tmp_path)
    change(state)
    with pytest.raises(ExtractError, match=rf"other\.pt: .*{said}") as caught:
        ClapTower.from_laion_file(save_laion(tmp_path / "other.pt", state), CPU, "float32")
    assert "\n" not in str(caught.value)


class Bomb:
    """Pickles to a call."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path("gone").touch, ("x",))


def test_numbers_are_unpickled_but_no_code(
    state: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    numbers = {"a": np.float32(1), "b": np.int64(2), "c": np.bool_(True), "d": np.dtype("float64")}
    torch.save({**numbers, "state_dict": state}, "fine.pt")
    assert len(read_laion_file(Path("fine.pt"))) == len(state)
    torch.save({"x": Bomb(), "state_dict": state}, "bad.pt")
    with pytest.raises(ExtractError, match=r"bad\.pt: no weights can be read from it"):
        read_laion_file(Path("bad.pt"))
    assert not Path("gone").exists()


def test_other_files_are_refused(file: Path) -> None:
    for path, data, said in (
        ("nothing.pt", None, "no such file"),
        ("cut.pt", file.read_bytes()[:5000], "no weights can be read"),
    ):
        if data is not None:
            (file.parent / path).write_bytes(data)
        with pytest.raises(ExtractError, match=said):
            read_laion_file(file.parent / path)
    torch.save([torch.zeros(2)], file.parent / "list.pt")
    torch.save({"state_dict": {"a": 1}}, file.parent / "number.pt")
    for name in ("list.pt", "number.pt"):
        with pytest.raises(ExtractError, match="holds no state dict"):
            read_laion_file(file.parent / name)


def test_tokenizer_with_too_many_words(state: dict[str, Tensor], file: Path, tmp_path: Path) -> None:
    words = "text_branch.embeddings.word_embeddings.weight"
    small = save_laion(tmp_path / "small.pt", {**state, words: state[words][:100]})
    with pytest.raises(ExtractError, match=r"its tokenizer has 261 words, the text tower of .*small\.pt 100"):
        ClapTower.from_laion_file(small, CPU, "float32")


@pytest.mark.skipif(importlib.util.find_spec("laion_clap") is not None, reason="laion_clap is installed here")
def test_the_packages_backbone_without_the_package(checkpoint: Path) -> None:
    for folder in (None, checkpoint):
        with pytest.raises(ExtractError, match=r"pip install 'av2a\[laion\]'") as caught:
            clip_laion_clap.load(folder, CPU, "float32")
        assert "\n" not in str(caught.value)


def test_the_package_is_imported_by_nothing_else() -> None:
    code = "import sys; from extract.backbones.clip_clap import backbone, laion_backbone; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"laion_clap", "clap_module", "wandb", "librosa"} & set(done.stdout.split())

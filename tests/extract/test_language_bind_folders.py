"""LanguageBind's three folders as one, the hub, and the tokenizer's files."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from extract import ExtractError
from extract.backbones.language_bind import loading
from extract.backbones.language_bind.loading import load_towers
from extract.backbones.language_bind.tokens import Tokeniser
from extract.backbones.weights import sha256
from tests.language_bind_models import GOLDEN, golden_folder, make_language_bind

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_language_bind(tmp_path_factory.mktemp("language_bind") / "weights")


def test_three_folders(three: Path) -> None:
    towers = load_towers(three, CPU, "float32")
    assert towers.origin["video"] == "weights/LanguageBind_Video_FT"
    inputs = {"image": (2, 3, 56, 56), "video": (2, 8, 3, 56, 56), "audio": (2, 3, 112, 1036)}
    generator = torch.Generator().manual_seed(5)
    for name, shape in inputs.items():
        tower = getattr(towers, name)
        unit = tower.projected(torch.randn(shape, generator=generator))
        assert unit.shape == (2, 20)
        torch.testing.assert_close(unit.norm(dim=1), torch.ones(2))
        assert (unit[0] - unit[1]).abs().max() > 0.01
        said = tower.attributes()
        assert said["sha256"] == sha256(three / loading.REPOSITORIES[name].partition("/")[2] / "pytorch_model.bin")
        assert (said["activation"], said["file"]) == ("gelu", "pytorch_model.bin")
        assert said["input"] == list(shape[1:])
        assert json.loads(json.dumps(said)) == said
    text = towers.text.projected(["A dog", "A frying (food)", "A dog"])
    assert text.shape == (3, 20)
    assert torch.equal(text[0], text[2])
    assert (text[0] - text[1]).abs().max() > 0.01
    assert towers.text.attributes()["tokenizer"] == "open_clip"


def test_folders_that_are_not_there_or_mixed_up(three: Path, tmp_path: Path) -> None:
    with pytest.raises(ExtractError, match="has no LanguageBind_Video_FT/ and no LanguageBind_Audio_FT/: it needs DIR"):
        load_towers(golden_folder(tmp_path / "LanguageBind_Image", "image").parent, CPU, "float32")
    mixed = Path(shutil.copytree(three, tmp_path / "mixed"))
    shutil.rmtree(mixed / "LanguageBind_Video_FT")
    shutil.copytree(three / "LanguageBind_Image", mixed / "LanguageBind_Video_FT")
    with pytest.raises(ExtractError, match="LanguageBind_Video_FT: holds no LanguageBind model for video"):
        load_towers(mixed, CPU, "float32")
    shutil.rmtree(mixed / "LanguageBind_Video_FT")
    golden_folder(mixed / "LanguageBind_Video_FT", "video")
    with pytest.raises(ExtractError, match=r"Video_FT: its space has 12 dimensions, that of .*Image has 20"):
        load_towers(mixed, CPU, "float32")


def test_text_tower_too_small_for_the_tokens(tmp_path: Path) -> None:
    for repository in loading.REPOSITORIES.values():
        golden_folder(tmp_path / repository.removeprefix("LanguageBind/"), "image")
    with pytest.raises(ExtractError, match=r"LanguageBind_Image/model\.safetensors: its text tower knows 64 tokens"):
        load_towers(tmp_path, CPU, "float32")


def test_hub(three: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a folder the published repositories are asked for, and what is missing is named."""

    def found(repository: str, weights: tuple[str, ...], others: tuple[str, ...] = ()) -> Path | None:
        folder = three / repository.removeprefix("LanguageBind/")
        return folder if all((folder / name).is_file() for name in others) else None

    monkeypatch.setattr(loading, "from_hub", found)
    towers = load_towers(None, CPU, "float32")
    assert towers.origin["audio"] == "LanguageBind/LanguageBind_Audio_FT@LanguageBind_Audio_FT"
    monkeypatch.setattr(loading, "from_hub", lambda repository, *_: None if "FT" in repository else three)
    with pytest.raises(ExtractError) as caught:
        load_towers(None, CPU, "float32")
    message = str(caught.value)
    assert "LanguageBind/LanguageBind_Video_FT and LanguageBind/LanguageBind_Audio_FT here" in message
    assert "DIR/LanguageBind_Image/" in message
    assert "`checkpoint='DIR'`" in message
    assert "\n" not in message


def write_tokenizer(folder: Path, kind: str) -> None:
    """The standard table as a checkpoint's files hold it."""
    from open_clip.tokenizer import SimpleTokenizer
    from transformers import CLIPTokenizer

    table = SimpleTokenizer()
    names = {"<start_of_text>": "<|startoftext|>", "<end_of_text>": "<|endoftext|>"}
    vocabulary = {names.get(token, token): index for token, index in table.encoder.items()}
    merges = [" ".join(pair) for pair in sorted(table.bpe_ranks, key=table.bpe_ranks.__getitem__)]
    folder.mkdir(parents=True, exist_ok=True)
    if kind == "two files":
        (folder / "vocab.json").write_text(json.dumps(vocabulary))
        (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n")
    else:
        CLIPTokenizer(vocab=vocabulary, merges=[tuple(m.split()) for m in merges]).save_pretrained(folder)
        assert not (folder / "vocab.json").exists()


@pytest.mark.parametrize("kind", ["open_clip", "two files", "one file"])
def test_tokens(kind: str, tmp_path: Path) -> None:
    data = json.loads((GOLDEN / "tokenizer.json").read_text())
    if kind != "open_clip":
        write_tokenizer(tmp_path, kind)
    tokeniser = Tokeniser.from_folder(tmp_path)
    expected_source = {"open_clip": "open_clip", "two files": "vocab.json, merges.txt", "one file": "tokenizer.json"}
    assert tokeniser.source == expected_source[kind]
    ids = tokeniser([item["text"] for item in data["items"]])
    assert ids.shape == (38, 77)
    assert ids.dtype == torch.int64
    for row, item in zip(ids.tolist(), data["items"], strict=True):
        assert row == item["ids"] + [49407] * (77 - item["n"])


@pytest.mark.parametrize("kind", ["open_clip", "one file"])
def test_long_sentences_are_known(kind: str, tmp_path: Path) -> None:
    if kind != "open_clip":
        write_tokenizer(tmp_path, kind)
    tokeniser = Tokeniser.from_folder(tmp_path)
    lines = [" ".join(["dog"] * words) for words in (1, 75, 76, 400)]
    assert tokeniser.cut(lines) == [False, False, True, True]
    ids = tokeniser(lines)
    assert ids[1].tolist() == ids[2].tolist() == ids[3].tolist()


def test_useless_tokenizers(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(ExtractError, match=r"tokenizer\.json: cannot be used as tokenizer"):
        Tokeniser.from_folder(tmp_path)
    small = tmp_path / "small"
    small.mkdir()
    (small / "vocab.json").write_text(json.dumps({"<|startoftext|>": 0, "<|endoftext|>": 1, "a</w>": 2}))
    (small / "merges.txt").write_text("#version: 0.2\n")
    with pytest.raises(ExtractError, match=r"vocab\.json: not CLIP's tokenizer .`a` becomes \[0, 2, 1\]"):
        Tokeniser.from_folder(small)

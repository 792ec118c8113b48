"""LanguageBind checkpoints: names and shapes of the published ones, and what is refused."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from extract import ExtractError
from extract.backbones.language_bind.checkpoint import UNUSED, Checkpoint, expected_shapes
from extract.backbones.language_bind.config import CheckpointConfig, read_config
from extract.backbones.language_bind.loading import load_tower
from extract.backbones.language_bind.vision_tower import resize_positions
from tests.language_bind_models import GOLDEN, golden_folder

CPU = torch.device("cpu")
POSITIONS = "vision_model.embeddings.position_embedding.weight"
STRAY = "vision_model.encoder.layers.0.mlp.fc3.weight"
QUERY = "vision_model.encoder.layers.0.self_attn.q_proj.weight"

Edit = Callable[[dict[str, Any]], None]

PIXELS = torch.randn(2, 3, 28, 28, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint folder to damage."""
    return golden_folder(tmp_path / "tower", "image")


def edit_config(folder: Path, edit: Edit) -> None:
    path = folder / "config.json"
    values = json.loads(path.read_text())
    edit(values)
    path.write_text(json.dumps(values))


def edit_tensors(folder: Path, edit: Callable[[dict[str, Tensor]], Any]) -> None:
    tensors = load_file(folder / "model.safetensors")
    edit(tensors)
    save_file(tensors, folder / "model.safetensors")


def refused(folder: Path) -> str:
    with pytest.raises(ExtractError) as caught:
        Checkpoint.from_folder(folder)
    message = str(caught.value)
    assert "\n" not in message
    assert str(folder) in message
    return message


def published(kind: str, folder: Path) -> CheckpointConfig:
    """The configuration of a published checkpoint."""
    layers = {"hidden_act": "gelu", "layer_norm_eps": 1e-5}
    vision = {
        **layers, "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16,
        "patch_size": 14, "image_size": 224, "lora_r": 0, "projection_dim": 512,
    }  # fmt: skip
    vision |= {"video": {"add_time_attn": True, "num_frames": 8}, "image": {}}.get(
        kind, {"num_mel_bins": 112, "target_length": 1036}
    )
    text = {
        **layers, "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
    }  # fmt: skip
    path = folder / "config.json"
    path.write_text(json.dumps({"projection_dim": 768, "vision_config": vision, "text_config": text}))
    return read_config(path)


@pytest.mark.parametrize(
    ("kind", "tensors", "values"),
    [("image", 590, 427_616_513), ("video", 854, 528_623_873), ("audio", 590, 427_960_577)],
)
def test_names_and_shapes_of_the_published_checkpoints(kind: str, tensors: int, values: int, tmp_path: Path) -> None:
    """On the meta device: nothing of that size is allocated."""
    keys = json.loads((GOLDEN / f"keys_{kind}.json").read_text())
    shapes = expected_shapes(published(kind, tmp_path))
    assert shapes == {name: tuple(shape) for name, shape in keys.items()}
    assert len(shapes) == tensors
    assert sum(torch.Size(shape).numel() for shape in shapes.values()) == values
    counters = json.loads((GOLDEN / "keys_optional_buffers.json").read_text())[kind]
    assert set(counters) == set(UNUSED)


def test_every_tensor_reaches_a_module(folder: Path) -> None:
    """Each weight of the file is one of the towers', the projections' or the scale."""
    checkpoint = Checkpoint.from_folder(folder)
    with torch.device("cpu"):
        vision, projection = checkpoint.vision()
        text, text_projection = checkpoint.text()
    used = sum(p.numel() for module in (vision, projection, text, text_projection) for p in module.parameters())
    file = load_file(folder / "model.safetensors")
    assert used + 1 == sum(tensor.numel() for name, tensor in file.items() if name not in UNUSED)


@pytest.mark.parametrize("kind", ["old", "new"])
def test_torch_files_and_counters(kind: str, folder: Path) -> None:
    """pytorch_model.bin, in both of torch's formats, with and without the counters that are not needed."""
    expected = load_tower(folder, CPU, "float32")
    tensors = load_file(folder / "model.safetensors")
    for name, positions in zip(UNUSED, (5, 77), strict=True):
        tensors.pop(name, None)
        if kind == "old":
            tensors[name] = torch.arange(positions)[None]
    (folder / "model.safetensors").unlink()
    torch.save(tensors, folder / "pytorch_model.bin", _use_new_zipfile_serialization=kind == "new")
    tower = load_tower(folder, CPU, "float32")
    assert torch.equal(tower.projected(PIXELS), expected.projected(PIXELS))
    assert tower.weights.name == "pytorch_model.bin"


def test_half_precision_files(folder: Path) -> None:
    """The same numbers in either precision make the same tower."""
    edit_tensors(folder, lambda t: t.update({name: v.half() for name, v in t.items() if v.is_floating_point()}))
    found = load_tower(folder, CPU, "float32").projected(PIXELS)
    assert found.dtype == torch.float32
    edit_tensors(folder, lambda t: t.update({name: v.float() for name, v in t.items() if v.is_floating_point()}))
    assert torch.equal(found, load_tower(folder, CPU, "float32").projected(PIXELS))


@pytest.mark.parametrize("part", ["text_config", "vision_config"])
def test_missing_activation(part: str, folder: Path) -> None:
    edit_config(folder, lambda values: values[part].pop("hidden_act"))
    assert f"config.json: {part}.hidden_act is missing" in refused(folder)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda c: c["vision_config"].update(hidden_act="relu"), "vision_config.hidden_act is 'relu'; known are gelu"),
        (lambda c: c["vision_config"].update(num_attention_heads=5), "num_attention_heads is 5, which does not divide"),
        (lambda c: c["text_config"].pop("num_attention_heads"), "text_config.num_attention_heads is missing"),
        (lambda c: c["text_config"].update(hidden_size="16"), "text_config.hidden_size is '16', not a number"),
        (lambda c: c["vision_config"].update(num_hidden_layers=2.5), "num_hidden_layers is 2.5, not a whole number"),
        (lambda c: c["vision_config"].update(image_size=[28]), "image_size is [28], neither"),
        (lambda c: c["vision_config"].update(image_size=7), "patch_size is 14, larger than the input of 7 by 7"),
        (lambda c: c["vision_config"].update(add_time_attn=True), "num_frames is 1, not a whole number of at least 2"),
        (lambda c: c["vision_config"].update(clip_type="vl_new"), "clip_type is vl_new, which needs add_time_attn"),
        (lambda c: c["vision_config"].update(num_mel_bins=112), "target_length is 0, though the other is not"),
        (lambda c: c.pop("projection_dim"), "config.json: projection_dim is missing"),
        (lambda c: c.update(text_config=3), "text_config is not a JSON object"),
    ],
)
def test_useless_configs(edit: Edit, said: str, folder: Path) -> None:
    edit_config(folder, edit)
    assert said in refused(folder)


def test_damaged_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")
    assert "config.json: cannot be read as JSON" in refused(folder)


def test_image_size_as_a_list_and_defaults(folder: Path) -> None:
    """Fields that the published classes leave out when they save their defaults; a missing rank is 2."""
    before = read_config(folder / "config.json")
    text = (folder / "config.json").read_text()
    edit_config(folder, lambda c: c["vision_config"].update(image_size=[28, 28]))
    assert read_config(folder / "config.json") == before
    for field in ("num_channels", "layer_norm_eps", "add_time_attn", "num_frames", "num_mel_bins", "target_length"):
        edit_config(folder, lambda c, field=field: c["vision_config"].pop(field))  # type: ignore[misc]
    assert read_config(folder / "config.json") == before
    edit_config(folder, lambda c: c["vision_config"].pop("lora_r"))
    assert (before.vision.lora_r, read_config(folder / "config.json").vision.lora_r) == (0, 2)
    without = load_tower(folder, CPU, "float32").projected(PIXELS)  # no updates in the file: nothing to add
    (folder / "config.json").write_text(text)
    assert torch.equal(load_tower(folder, CPU, "float32").projected(PIXELS), without)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda t: t.update({STRAY: torch.zeros(2)}), f"holds an unknown tensor {STRAY}; "),
        (lambda t: t.pop(QUERY), f"lacks tensor {QUERY}; "),
        (lambda t: t.pop("logit_scale"), "lacks tensor logit_scale; "),
        (lambda t: t.pop("text_projection.weight"), "lacks tensor text_projection.weight; "),
        (lambda t: [t.pop(QUERY), t.pop("logit_scale")], " and 1 more"),
        (lambda t: t.update({QUERY: t[QUERY][:23].clone()}), f"tensor {QUERY} is float32 (23, 24), but by config.json"),
        (lambda t: t.update({QUERY: t[QUERY].long()}), f"tensor {QUERY} is int64 (24, 24)"),
        (lambda t: t.update({POSITIONS: torch.zeros(257, 24)}), f"tensor {POSITIONS} is float32 (257, 24)"),
    ],
)
def test_tensors_that_do_not_fit(edit: Callable[[dict[str, Tensor]], Any], said: str, folder: Path) -> None:
    edit_tensors(folder, edit)
    message = refused(folder)
    assert said in message
    assert "model.safetensors" in message


@pytest.mark.parametrize("name", ["image_lora", "video_lora"])
def test_updates_in_both_spellings(name: str, tmp_path: Path) -> None:
    """Weights of adapted layers are X.base_layer.weight in newer files, X.weight in older ones."""
    folder = golden_folder(tmp_path / "tower", name)
    before = Checkpoint.from_folder(folder).state
    tensors = load_file(folder / "model.safetensors")
    assert any(".base_layer." in key for key in tensors)
    save_file({key.replace(".base_layer", ""): value for key, value in tensors.items()}, folder / "model.safetensors")
    after = Checkpoint.from_folder(folder).state
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_updates_must_be_whole_and_in_place(tmp_path: Path) -> None:
    folder = golden_folder(tmp_path / "tower", "video_lora")
    file = folder / "model.safetensors"
    tensors = load_file(file)
    update = next(name for name in tensors if "lora_B" in name)
    plain = update.replace(".base_model.model", "")
    save_file({name: value for name, value in tensors.items() if name != update}, file)
    assert f"lacks tensor {plain};" in refused(folder)
    elsewhere = update.replace("temporal_attn", "self_attn")
    save_file({**tensors, elsewhere: tensors[update].clone()}, file)
    assert f"unknown tensor {elsewhere.replace('.base_model.model', '')};" in refused(folder)
    save_file({**tensors, update: torch.zeros(24, 3)}, file)
    assert f"tensor {plain} is float32 (24, 3), but by config.json it is real numbers (24, 4)" in refused(folder)
    save_file(tensors, file)
    edit_config(folder, lambda c: c["vision_config"].update(lora_r=0))
    assert "holds an unknown tensor" in refused(folder)


def test_same_tensor_under_two_names(tmp_path: Path) -> None:
    folder = golden_folder(tmp_path / "tower", "image_lora")
    edit_tensors(folder, lambda t: t.update({QUERY: torch.zeros(24, 24)}))
    assert f"holds tensor {QUERY} twice" in refused(folder)


def test_square_position_table_in_an_audio_checkpoint(tmp_path: Path) -> None:
    """257 rows, as before the published training: fitted to the spectrogram's 593 places."""
    folder = golden_folder(tmp_path / "tower", "audio_fullgrid")
    table = torch.randn(257, 24, generator=torch.Generator().manual_seed(1))
    edit_tensors(folder, lambda t: t.update({POSITIONS: table}))
    fitted = Checkpoint.from_folder(folder).state[POSITIONS]
    assert torch.equal(fitted, resize_positions(table, (16, 16), (8, 74)))
    edit_tensors(folder, lambda t: t.update({POSITIONS: table[:256].clone()}))
    assert f"tensor {POSITIONS} is float32 (256, 24)" in refused(folder)


class _Bomb:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.trace,)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_file_is_not_run(zipped: bool, folder: Path, tmp_path: Path) -> None:
    (folder / "model.safetensors").unlink()
    trace = tmp_path / "it_ran"
    file = folder / "pytorch_model.bin"
    torch.save({"logit_scale": _Bomb(trace)}, file, _use_new_zipfile_serialization=zipped)
    assert "pytorch_model.bin: no weights can be read from it" in refused(folder)
    file.write_bytes(pickle.dumps({"logit_scale": _Bomb(trace)}))
    assert "no weights can be read from it" in refused(folder)
    assert not trace.exists()


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("kept", [0, 7, 60_000])
def test_truncated_files(name: str, kept: int, folder: Path) -> None:
    if name == "pytorch_model.bin":
        torch.save(load_file(folder / "model.safetensors"), folder / name)
        (folder / "model.safetensors").unlink()
    file = folder / name
    file.write_bytes(file.read_bytes()[:kept])
    assert f"{name}: no weights can be read from it" in refused(folder)


def test_other_things_in_a_file(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    for thing in ([torch.zeros(2)], {"state_dict": {"logit_scale": torch.zeros(())}}):
        torch.save(thing, folder / "pytorch_model.bin")
        assert "holds something else than named tensors" in refused(folder)


def test_missing_files(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    assert refused(folder) == f"no model.safetensors or pytorch_model.bin in {folder}"
    (folder / "config.json").unlink()
    assert refused(folder) == f"no config.json and no model.safetensors or pytorch_model.bin in {folder}"

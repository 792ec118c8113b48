"""Any CLAP of transformers: with fusion and without, against its own extractor and model; which are refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from extract import ExtractError, load_backbone, with_models
from extract.backbones.clip_clap.log_mel import MelConfig, htk_filters
from extract.backbones.weights import quiet
from tests.extraction import heard
from tests.image_models import make_fused_clap

SEEDED = torch.Generator().manual_seed(5)
WAVES = [0.3 * torch.randn(n, generator=SEEDED) for n in (96_000, 48_123, 480_000, 479_999)]
LONG = 0.3 * torch.randn(600_000, generator=SEEDED)


@pytest.fixture(scope="module")
def fused(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a CLAP with fusion; not to be changed."""
    return make_fused_clap(tmp_path_factory.mktemp("clap") / "fused", checkpoint / "clap")


def load(folder: Path, checkpoint: Path) -> Any:
    return load_backbone(with_models("clip_clap", audio_model=f"local-dir:{folder}"), checkpoint)


@pytest.fixture
def broken(fused: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(fused, tmp_path / "broken"))


def test_bands_of_htk() -> None:
    from transformers.audio_utils import mel_filter_bank

    config = MelConfig()
    expected = mel_filter_bank(513, 64, config.lowest, config.highest, 48_000, norm=None, mel_scale="htk")
    np.testing.assert_allclose(htk_filters(config).numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("truncation", ["fusion", "rand_trunc"])
def test_a_clap_with_fusion(checkpoint: Path, fused: Path, tmp_path: Path, truncation: str) -> None:
    """As transformers gives it beside a longer sound: without one, any sound at random counts as longer there."""
    from transformers import AutoTokenizer, ClapFeatureExtractor, ClapModel

    folder = (
        fused if truncation == "fusion" else make_fused_clap(tmp_path / "f", checkpoint / "clap", truncation=truncation)
    )
    backbone = load(folder, checkpoint)
    with quiet(), torch.inference_mode():
        model = ClapModel.from_pretrained(folder).eval()
        extractor = ClapFeatureExtractor.from_pretrained(folder)
        beside = [LONG] if truncation == "fusion" else []
        inputs = extractor([wave.numpy() for wave in [*WAVES, *beside]], sampling_rate=48_000, return_tensors="pt")
        assert inputs["is_longer"].flatten().tolist() == [False] * 4 + [True] * len(beside)
        seen = model.get_audio_features(**inputs).pooler_output[:4]
        words = AutoTokenizer.from_pretrained(folder)(["a dog", "rain"], padding=True, return_tensors="pt")
        read = model.get_text_features(
            input_ids=words["input_ids"], attention_mask=words["attention_mask"]
        ).pooler_output
    found = heard(backbone, WAVES)
    torch.testing.assert_close(found, seen, atol=1e-5, rtol=0)
    torch.testing.assert_close(backbone.encode_audio_text(["a dog", "rain"]), read, atol=1e-5, rtol=0)
    assert (found - found[0]).abs()[1:].max() > 1e-3
    for single in range(4):
        torch.testing.assert_close(heard(backbone, WAVES[single : single + 1])[0], found[single], atol=1e-5, rtol=0)
    facts = backbone.attributes()["clap"]
    assert facts["mel_scale"] == ("htk" if truncation == "fusion" else "slaney")
    assert facts["fusion"].startswith("none")


def test_longer_sound_is_cut_to_its_centre(checkpoint: Path, fused: Path) -> None:
    backbone = load(fused, checkpoint)
    assert torch.equal(heard(backbone, [LONG]), heard(backbone, [LONG[60_000:540_000]]))
    assert torch.equal(heard(backbone, [LONG]), heard(load(fused, checkpoint), [LONG]))
    assert torch.isfinite(heard(backbone, [torch.zeros(0)])).all()


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        (
            "config.json",
            {"model_type": "wav2vec2"},
            "a model of type 'wav2vec2' is not supported, only transf",
        ),
        ("preprocessor_config.json", {"feature_extractor_type": "Other"}, "feature_extractor_type 'Other' is not supp"),
        ("preprocessor_config.json", {"padding": "repeat"}, "padding 'repeat' is not supported, only repeatpad"),
        ("preprocessor_config.json", {"truncation": "none"}, "truncation 'none' is not supported, only fusion or rand"),
        ("preprocessor_config.json", {"hop_length": None}, "preprocessor_config.json: cannot be used"),
    ],
)
def test_what_is_not_supported(checkpoint: Path, broken: Path, name: str, change: dict[str, Any], said: str) -> None:
    stored = json.loads((broken / name).read_text())
    (broken / name).write_text(json.dumps({**stored, **change}))
    with pytest.raises(ExtractError, match=said) as caught:
        load(broken, checkpoint)
    assert "\n" not in str(caught.value)


def test_fusion_by_channels(checkpoint: Path, broken: Path) -> None:
    from transformers import ClapConfig, ClapModel

    config = ClapConfig.from_pretrained(broken)
    config.audio_config.fusion_type = "channel_map"
    with quiet():
        ClapModel(config).save_pretrained(broken)
    with pytest.raises(ExtractError, match="fusion by channels, which is not supported"):
        load(broken, checkpoint)


def test_weights_of_another_clap(checkpoint: Path, broken: Path) -> None:
    """Names of tensors, of any kind of difference."""
    shutil.copy(checkpoint / "clap" / "model.safetensors", broken / "model.safetensors")
    with pytest.raises(ExtractError, match=r"cannot be loaded as CLAP \(\d+ tensors are missing \(audio_model.*fusion"):
        load(broken, checkpoint)
    from safetensors.torch import load_file, save_file

    tensors = load_file(checkpoint / "clap" / "model.safetensors")
    tensors["audio_projection.linear1.bias"] = torch.zeros(3)
    other = Path(shutil.copytree(checkpoint / "clap", broken.parent / "other"))
    save_file(tensors, other / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ExtractError, match=r"1 tensors are of another shape \(audio_projection.linear1.bias\)"):
        load(other, checkpoint)


def test_names(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    for audio, said in (
        ("laion/larger_clap_genral", r"no CLAP 'laion/larger_clap_genral' here.*\(nearest: laion/larger_clap_general"),
        ("microsoft/msclap", r"no CLAP 'microsoft/msclap' here, nor one of transformers .*known are laion/clap"),
        ("laion/clap-htsat-fused", r"no weights of laion/clap-htsat-fused here, nor a model hub"),
        (f"local-dir:{tmp_path / 'none'}", r"no folder .*none: name the one with the CLAP"),
    ):
        only_pictures = Path(shutil.copytree(checkpoint / "clip", tmp_path / "w" / "clip", dirs_exist_ok=True)).parent
        with pytest.raises(ExtractError, match=said) as caught:
            load_backbone(with_models("clip_clap", audio_model=audio), only_pictures)
        assert "\n" not in str(caught.value)
    with pytest.raises(ExtractError, match="both say what hears: give one"):
        load_backbone(
            with_models("clip_clap", audio_model="laion/clap-htsat-fused"), checkpoint, clap_checkpoint=__file__
        )

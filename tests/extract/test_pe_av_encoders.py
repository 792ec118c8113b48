"""PE-AV's encoders, taken apart, against the reference class's own forward and its methods that work."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from extract import ExtractError, load_backbone
from extract.backbones.base import BoundedText, FrameChooser, JointBackbone, SharedViews
from extract.backbones.pe_av.backbone import MOST_WORDS, PeAv
from extract.media.audio_windows import SoundWindows
from tests.pe_av_models import DIM, SIDE, make_pe_av, tiny_model, tokenizer

RATE = 48_000


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pe_av(tmp_path_factory.mktemp("weights") / "tiny")


@pytest.fixture(scope="module")
def backbone(weights: Path) -> PeAv:
    found = load_backbone("pe_av", weights)
    assert isinstance(found, PeAv)
    return found


@pytest.fixture(scope="module")
def reference() -> Any:
    return tiny_model()


def pictures(count: int, frames: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, frames, 3, SIDE, SIDE), dtype=torch.uint8, generator=generator)


def pixels(frames: Tensor) -> Tensor:
    return (frames.float() / 255 - 0.5) / 0.5


def wave(seconds: float, seed: int = 0) -> Tensor:
    return 0.3 * torch.randn(int(seconds * RATE), generator=torch.Generator().manual_seed(seed))


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def unit(vectors: Tensor) -> Tensor:
    assert not torch.allclose(vectors.norm(dim=-1), torch.ones(()), atol=0.01)  # they are no unit vectors
    return normalize(vectors, dim=-1)


def test_what_it_is(backbone: PeAv) -> None:
    assert isinstance(backbone, JointBackbone)
    assert isinstance(backbone, FrameChooser)
    assert isinstance(backbone, BoundedText)
    assert not isinstance(backbone, SharedViews)
    assert (backbone.visual_dim, backbone.audio_dim, backbone.joint_dim) == (DIM, DIM, DIM)
    assert (backbone.text.unit_visual, backbone.text.unit_audio, backbone.text.one_space) == (True, True, False)


@pytest.mark.parametrize("frames", [1, 2, 8, 16])
@pytest.mark.parametrize("seconds", [1, 2, 5, 10])
def test_picture_sound_and_both(backbone: PeAv, reference: Any, frames: int, seconds: int) -> None:
    seen, heard = pictures(3, frames, seconds), torch.stack([wave(seconds, seed) for seed in range(3)])
    with torch.inference_mode():
        expected = reference.get_audio_video_embeds(
            heard[:, None], pixels(seen), return_audio_embeds=True, return_video_embeds=True
        )
    embedded = backbone.embed_frames(seen.flatten(0, 1)).view(3, frames, -1)
    tokens = [
        backbone.embed_sounds(SoundWindows(each, np.array([[0, len(each)]]), RATE))[0] for each in heard
    ]  # fmt: skip
    video, audio = backbone.encode_frame_windows(embedded), backbone.encode_sound_windows(torch.stack(tokens))
    joint = backbone.encode_joint(video.states, audio.states)
    for found, name in ((video.vectors, "video"), (audio.vectors, "audio"), (joint, "audio_video")):
        close(found, unit(expected[f"{name}_embeds"]))
        assert found.dtype == torch.float32
        assert (found[0] - found[1]).abs().max() > 1e-3
    close(backbone.encode_video(seen), video.vectors)
    close(backbone.encode_audio(heard), audio.vectors)
    close(backbone.encode_frames(seen[:, 0]), backbone.encode_video(seen[:, :1]))


def test_forward_with_all_three(backbone: PeAv, reference: Any) -> None:
    """With as many sentences as clips the class's own forward works; its text states are made those before the norm."""
    sentences = ["a dog barks", "a train horn far away", "yak"]
    words = tokenizer()(sentences, padding=True, return_tensors="pt")
    before = copy.deepcopy(reference)
    for model in (before, before.audio_model, before.video_model):
        model.text_model.final_norm = nn.Identity()
    seen, heard = pictures(3, 8), torch.stack([wave(2, seed) for seed in range(3)])
    with torch.inference_mode():
        expected = before(
            input_ids=words["input_ids"], attention_mask=words["attention_mask"], input_values=heard[:, None],
            pixel_values_videos=pixels(seen),
        )  # fmt: skip
    for found, name in (
        (backbone.encode_video(seen), "video"), (backbone.encode_audio(heard), "audio"),
        (backbone.encode_visual_text(sentences), "text_video"), (backbone.encode_audio_text(sentences), "text_audio"),
        (backbone.encode_joint_text(sentences), "text_audio_video"),
    ):  # fmt: skip
        close(found, unit(expected[f"{name}_embeds"]))
    spaces = [backbone.encode_visual_text(sentences), backbone.encode_audio_text(sentences)]
    assert (spaces[0] - spaces[1]).abs().max() > 0.1


def test_sentences_by_themselves(backbone: PeAv) -> None:
    """None is filled up: beside longer ones each is what it is alone."""
    sentences = ["yak", "a dog barks", "yaks", "the horn of a train that comes out of a tunnel", "cat"]
    together = backbone.encode_visual_text(sentences)
    for row, sentence in enumerate(sentences):
        close(together[row : row + 1], backbone.encode_visual_text([sentence]))
    assert torch.unique(together, dim=0).shape == together.shape


def test_long_sentences(backbone: PeAv) -> None:
    longest = "a" * (MOST_WORDS - 2)
    assert backbone.sentences_cut("joint", [longest, longest + "b", "a"]) == [False, True, False]
    same = backbone.encode_audio_text([longest + "b", longest + "c"])
    close(same[0], same[1])


@pytest.mark.parametrize("shape", [(48, 64), (64, 48), (20, 20), (SIDE, SIDE), (200, 31)])
def test_pictures_as_the_models_processor_makes_them(backbone: PeAv, shape: tuple[int, int]) -> None:
    from transformers import PeVideoVideoProcessor

    frames = torch.randint(0, 256, (3, 3, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    processor = PeVideoVideoProcessor(
        size={"height": SIDE, "width": SIDE}, image_mean=[0.5] * 3, image_std=[0.5] * 3, do_sample_frames=False,
        do_resize=True, do_rescale=True, do_normalize=True,
    )  # fmt: skip
    expected = processor([frames], return_tensors="pt")["pixel_values_videos"][0]
    found = backbone.prepare_frames(frames)
    assert found.dtype == torch.uint8
    whole = ((expected * 0.5 + 0.5) * 255).round()
    # torchvision scales whole numbers as PyTorch does on processors with AVX2, elsewhere rounded real ones
    assert (found.float() - whole).abs().max() <= (0 if _whole_numbers() else 1)
    close(pixels(whole), expected)


def _whole_numbers() -> bool:
    return torch.backends.cpu.get_cpu_capability().startswith("AVX")


def test_not_frames(backbone: PeAv) -> None:
    with pytest.raises(ValueError, match="frames must be uint8"):
        backbone.prepare_frames(torch.zeros(1, 3, 8, 8))


@pytest.mark.parametrize("frames", [8, 16])
@pytest.mark.parametrize("count", [1, 2, 5, 6, 7, 16, 31, 76, 250, 301])
def test_which_frames(weights: Path, tmp_path: Path, frames: int, count: int) -> None:
    """As the model's own processor samples them; for eight frames as the paper does, too."""
    backbone = load_backbone("pe_av", weights if frames == 8 else make_pe_av(tmp_path / "16", frames=16))
    assert isinstance(backbone, FrameChooser)
    found = backbone.window_frames(count, 2.0)
    assert found.tolist() == [int(i * (count - 1) / (frames - 1)) for i in range(frames)]
    if frames == 8:
        assert found.tolist() == np.linspace(0, count - 1, 8).astype(int).tolist()
    assert f"int(i*(n-1)/{frames - 1})" in backbone.frame_rule


def test_stretches_of_a_waveform(backbone: PeAv, reference: Any) -> None:
    """Of any length, beside each other: each as the reference hears it by itself."""
    sound = wave(5)
    cuts = np.array([[0, len(sound)], [0, 96_000], [48_000, 192_000], [1000, 1000], [7, 5007], [239_990, len(sound)]])
    for tokens, (begin, end) in zip(backbone.embed_sounds(SoundWindows(sound, cuts, RATE)), cuts.tolist(), strict=True):
        found = backbone.encode_sound_windows(tokens[None]).vectors
        alone = sound[begin:end]
        if len(alone) < 1920:
            filled = torch.cat([alone, torch.zeros(1920 - len(alone))])
        else:
            filled = torch.from_numpy(np.pad(alone.numpy(), (0, -len(alone) % 1920), "reflect"))
        with torch.inference_mode():
            expected = reference.get_audio_embeds(filled[None, None])
        torch.testing.assert_close(found, unit(expected))
        close(backbone.encode_audio(backbone.prepare_audio([alone])), found)


def test_lengths_that_cannot_be(backbone: PeAv) -> None:
    with pytest.raises(ValueError, match="stretches of several lengths"):
        backbone.prepare_audio([wave(1), wave(2)])
    long = SoundWindows(torch.zeros(1), np.array([[0, 400 * RATE + 1]]), RATE)
    with pytest.raises(ExtractError, match=r"pe_av hears 400 s of sound at most, a clip has 400 s: .*`clip_seconds`"):
        backbone.embed_sounds(long)


@pytest.mark.parametrize(("precision", "most"), [("bfloat16", 5e-2), ("float16", 1e-2)])
def test_half_precision(backbone: PeAv, weights: Path, precision: str, most: float) -> None:
    half = load_backbone("pe_av", weights, precision=precision)
    assert isinstance(half, PeAv)
    seen, heard, sentences = (
        pictures(3, 8),
        torch.stack([wave(3, seed) for seed in range(3)]),
        ["a dog", "a train horn"],
    )
    for name, inputs in (
        ("encode_video", seen), ("encode_audio", heard), ("encode_visual_text", sentences),
        ("encode_audio_text", sentences), ("encode_joint_text", sentences),
    ):  # fmt: skip
        found, expected = getattr(half, name)(inputs), getattr(backbone, name)(inputs)
        assert found.dtype == torch.float32
        assert 0 < (found - expected).abs().max() < most
    both = [
        each.encode_joint(
            each.encode_frame_windows(each.embed_frames(seen.flatten(0, 1)).view(3, 8, -1)).states,
            each.encode_sound_windows(torch.stack(_tokens(each, heard))).states,
        )
        for each in (half, backbone)
    ]
    assert 0 < (both[0] - both[1]).abs().max() < most


def _tokens(backbone: PeAv, heard: Tensor) -> list[Tensor]:
    return [backbone.embed_sounds(SoundWindows(each, np.array([[0, len(each)]]), RATE))[0] for each in heard]

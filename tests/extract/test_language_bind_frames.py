"""LanguageBind's frames: which are taken, and their pixels, against the official ones."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from extract.backbones.language_bind.frames import MEAN, STD, _video_shape, prepare_images, prepare_video_frames
from extract.backbones.pixels import resized_shape
from extract.media.sampling import frame_plan

GOLDEN = Path(__file__).parents[1] / "golden" / "language_bind"
SIZES = ("90x120", "224x224", "225x227")


@pytest.mark.parametrize("size", SIZES)
def test_pixels_are_the_official_ones(size: str) -> None:
    golden = np.load(GOLDEN / f"vision_{size}.npz")
    frames = torch.from_numpy(golden["frames"]).permute(0, 3, 1, 2)
    images = prepare_images(frames[golden["image_indices"]]).numpy()
    videos = prepare_video_frames(frames[golden["video_indices"]]).numpy()
    step = 224 // golden["image_frame0"].shape[1]
    np.testing.assert_allclose(images[0, :, ::step, ::step], golden["image_frame0"], atol=1e-5)
    np.testing.assert_allclose(videos[7, :, ::step, ::step], golden["video_frame7"], atol=1e-4)
    t, c, y, x = golden["image_sample_idx"].T
    np.testing.assert_allclose(images[t, c, y, x], golden["image_sample_val"], atol=1e-5)
    c, t, y, x = golden["video_sample_idx"].T
    np.testing.assert_allclose(videos[t, c, y, x], golden["video_sample_val"], atol=1e-4)


def test_shapes_after_scaling_are_the_official_ones() -> None:
    for case in json.loads((GOLDEN / "resize_dims.json").read_text()):
        image, video = resized_shape(case["h"], case["w"], 224), _video_shape(case["h"], case["w"], 224)
        assert [*image] == case["image_resize"], case
        assert [*video] == case["video_resize"], case
        assert [round((side - 224) / 2) for side in image] == case["crop_offset_image"]
        assert [round((side - 224) / 2) for side in video] == case["crop_offset_video"]


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 200), st.integers(2, 200), st.integers(4, 60), st.integers(0, 2**31))
def test_video_frames_equal_the_plain_way(height: int, width: int, size: int, seed: int) -> None:
    """Normalise every pixel, scale all of the picture, cut the centre."""
    random = torch.Generator().manual_seed(seed)
    frames = torch.randint(0, 256, (2, 3, height, width), dtype=torch.uint8, generator=random)
    shape = _video_shape(height, width, size)
    mean, std = torch.tensor(MEAN).view(3, 1, 1), torch.tensor(STD).view(3, 1, 1)
    whole = functional.interpolate((frames / 255 - mean) / std, shape, mode="bilinear", align_corners=False)
    top, left = (round((side - size) / 2) for side in shape)
    expected = whole[:, :, top : top + size, left : left + size]
    found = prepare_video_frames(frames, size)
    assert found.shape == (2, 3, size, size)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    assert torch.equal(prepare_video_frames(frames[1:], size)[0], found[1])
    assert torch.equal(prepare_images(frames[1:], size)[0], prepare_images(frames, size)[1])


@pytest.mark.parametrize("prepare", [prepare_images, prepare_video_frames])
@pytest.mark.parametrize("frames", [torch.zeros(1, 3, 8, 8), torch.zeros(3, 8, 8, dtype=torch.uint8)])
def test_other_inputs_are_refused(prepare: object, frames: torch.Tensor) -> None:
    assert callable(prepare)
    with pytest.raises(ValueError, match="frames must be uint8"):
        prepare(frames)


def test_frame_choice_is_the_official_one() -> None:
    checked = 0
    for case in json.loads((GOLDEN / "frame_indices.json").read_text()):
        n, start, end = case["n"], case["start"], case["end"]
        if n < 10:
            continue  # refused: too few frames for ten segments
        plan = frame_plan(n)
        if start is None:
            rows = plan.video[0] if case["type"] == "video" else plan.image
        elif case["type"] == "video" and end - start >= 2 and end <= 10:
            rows = plan.video[[*_windows()].index((start, end))]
        else:
            continue  # no window of ours
        assert plan.frames[rows].tolist() == case["idx"], case
        checked += 1
    assert checked > 40


def _windows() -> list[tuple[int, int]]:
    return [(-1, -1), *((s, e) for s in range(9) for e in range(s + 2, 11))]

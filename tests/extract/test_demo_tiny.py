"""The packaged `tiny` weights: small, and knowing things in pictures and sounds that nothing was tuned on."""

from functools import cache

import numpy as np
import soxr
import torch
from numpy.typing import NDArray

from extract import load_backbone
from extract.backbones.base import Backbone
from extract.backbones.tiny.backbone import WEIGHTS
from extract.demo import DEMO_LABELS
from extract.demo.scene import Scene
from extract.demo.soundtrack import soundtrack
from extract.demo.synth import RATE
from extract.demo.things import DEMO_THINGS, Thing
from extract.label_embeddings import encode_labels
from tests.extraction import heard

SEED = 90_210  # of no demo and, being below the training's range, of no training
CHANCE = 1 / len(DEMO_LABELS)
PER_THING = 4


@cache
def tiny() -> Backbone:
    return load_backbone("tiny")


def pixels(rng: np.random.Generator, things: list[Thing]) -> NDArray[np.uint8]:
    """One frame with these things, uint8 (3, H, W)."""
    scene = Scene(rng, things, (160, 120))
    return scene.frame(rng, float(rng.uniform(0, 10)), {thing.label for thing in things}).transpose(2, 0, 1)


def wave(rng: np.random.Generator, things: list[Thing]) -> torch.Tensor:
    """Six seconds of these things over background noise, at the encoder's rate."""
    rate = tiny().sample_rate
    assert rate is not None
    made = soundtrack(rng, [(thing, [(0, 6)]) for thing in things], 6)
    return torch.from_numpy(soxr.resample(made, RATE, rate))


def encoded_frames(rng: np.random.Generator, scenes: list[list[Thing]]) -> NDArray[np.float32]:
    frames = torch.from_numpy(np.stack([pixels(rng, things) for things in scenes]))
    found: NDArray[np.float32] = tiny().encode_frames(tiny().prepare_frames(frames)).numpy()
    return found


def z_scores(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """As scoring takes them (docs/design.md 4.1)."""
    found: NDArray[np.float32] = (logits - logits.mean(1, keepdims=True)) / logits.std(1, ddof=1, keepdims=True)
    return found


def test_weights_are_small() -> None:
    files = [path for path in WEIGHTS.rglob("*") if path.is_file()]
    assert {"open_clip_model.safetensors", "model.safetensors"} <= {path.name for path in files}
    assert sum(path.stat().st_size for path in files) <= 10_000_000


def test_knows_things_in_pictures() -> None:
    rng = np.random.default_rng((SEED, 1))
    shown = [index for index in range(len(DEMO_THINGS)) for _ in range(PER_THING)]
    features = encoded_frames(rng, [[DEMO_THINGS[index]] for index in shown])
    logits = features @ encode_labels(tiny(), DEMO_LABELS).visual.T
    right = float((logits.argmax(1) == np.array(shown)).mean())
    assert right > 0.75 > 5 * CHANCE, right


def test_knows_sounds() -> None:
    rng = np.random.default_rng((SEED, 2))
    played = [index for index in range(len(DEMO_THINGS)) for _ in range(PER_THING)]
    features = heard(tiny(), [wave(rng, [DEMO_THINGS[index]]) for index in played]).numpy()
    logits = features @ encode_labels(tiny(), DEMO_LABELS).audio.T
    right = float((logits.argmax(1) == np.array(played)).mean())
    assert right > 0.75 > 5 * CHANCE, right


def test_two_things_at_once() -> None:
    rng = np.random.default_rng((SEED, 3))
    pairs = [[int(index) for index in rng.permutation(len(DEMO_THINGS))[:2]] for _ in range(24)]
    things = [[DEMO_THINGS[index] for index in pair] for pair in pairs]
    visual, audio = encode_labels(tiny(), DEMO_LABELS).visual, encode_labels(tiny(), DEMO_LABELS).audio
    seen = encoded_frames(rng, things) @ visual.T
    sounds = heard(tiny(), [wave(rng, both) for both in things]).numpy() @ audio.T
    for logits in (seen, sounds):
        best = np.argsort(-logits, axis=1)[:, :2]
        found = np.mean([len({*pair} & {*row}) / 2 for pair, row in zip(pairs, best.tolist(), strict=True)])
        assert found > 0.6, found


def test_nothing_there_stands_out_less() -> None:
    rng = np.random.default_rng((SEED, 4))
    visual, audio = encode_labels(tiny(), DEMO_LABELS).visual, encode_labels(tiny(), DEMO_LABELS).audio
    empty = z_scores(encoded_frames(rng, [[] for _ in range(24)]) @ visual.T).max(1)
    full = z_scores(encoded_frames(rng, [[thing] for thing in DEMO_THINGS] * 2) @ visual.T).max(1)
    assert np.median(empty) < 1.1 < np.median(full)  # sigmoid(1.1) is 0.75
    silent = z_scores(heard(tiny(), [wave(rng, []) for _ in range(8)]).numpy() @ audio.T).max(1)
    loud = z_scores(heard(tiny(), [wave(rng, [thing]) for thing in DEMO_THINGS]).numpy() @ audio.T).max(1)
    assert np.median(silent) < 1.1 < np.median(loud)


def test_other_words_for_the_same_things() -> None:
    words = encode_labels(tiny(), [thing.also[0] for thing in DEMO_THINGS])
    names = encode_labels(tiny(), DEMO_LABELS)
    for mine, other in ((names.visual, words.visual), (names.audio, words.audio)):
        nearest = (other @ mine.T / np.linalg.norm(mine, axis=1)).argmax(1)
        assert (nearest == np.arange(len(DEMO_LABELS))).mean() > 0.75

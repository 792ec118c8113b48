"""The training of the four encoders: pictures and sounds towards a direction for each thing, then words to those.

Each thing has a fixed direction, at right angles to all others. The picture and the sound encoder learn to point
where the things in their input point (at none, when nothing is there); the word encoders then learn to send a
prompt to its thing's direction. Training all at once on prompts is slower by far: untrained, the sentences of two
labels are all but equal, so that their encoder has little to tell the others apart by.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from extract.backbones.clip_clap.backbone import AUDIO_PROMPT, VISUAL_PROMPT
from extract.backbones.pixels import normalise
from extract.demo.things import DEMO_LABELS, THINGS
from extract.demo.training.losses import hit_rates, presence_loss, z_loss
from extract.demo.training.mixtures import make_stems, mix
from extract.demo.training.models import CLIP_PIXELS, DIM, TOKENS, save_clap, save_clip, start_clap, start_clip
from extract.demo.training.pictures import make_pictures, vary
from extract.demo.training.seeds import training_rng
from extract.demo.training.words import DEMO, any_name, label_set, prompts

Log = Callable[[str], None]
Batch = tuple[Tensor, Tensor, Tensor]
"""Embeddings (n, D); what is there, bool (n, number of THINGS); whether that is certain, of the same shape."""
_TRAIN, _CHECK = 0, 1
_WORD_STEPS, _WORD_BATCH = 600, 64


def train_clip(folder: Path, *, seed: int, steps: int, pictures: int, batch: int = 96, log: Log = print) -> None:
    """Train the CLIP model and write it to `folder`.

    `pictures` are made once (12 kB each), and `batch` of them varied for each of the `steps`.
    """
    torch.manual_seed(seed)
    started = time.monotonic()
    made, check = make_pictures(seed, _TRAIN, pictures), make_pictures(seed, _CHECK, 960)
    log(f"clip: {len(made.pixels)} pictures made in {time.monotonic() - started:.0f} s")
    model, tokenizer = start_clip(folder)
    choose = torch.Generator().manual_seed(seed)
    mean, std = CLIP_PIXELS["mean"], CLIP_PIXELS["std"]

    def image(pixels: Tensor) -> Tensor:
        features: Tensor = model.encode_image(normalise(pixels, mean, std))
        return features

    def text(labels: Sequence[str]) -> Tensor:
        features: Tensor = model.encode_text(tokenizer(prompts(VISUAL_PROMPT, labels)))
        return features

    def draw() -> Batch:
        rows = torch.randint(len(made.pixels), (batch,), generator=choose)
        seen = made.seen[rows]
        return image(vary(choose, made.pixels[rows])), seen, torch.ones_like(seen)

    def held_out() -> Batch:
        features = torch.cat([image(part) for part in torch.split(check.pixels, 240)])
        return features, check.seen, torch.ones_like(check.seen)

    _train(model, draw, held_out, text, seed=seed, steps=steps, name="clip", log=log)
    save_clip(model, folder)
    log(f"clip: written after {time.monotonic() - started:.0f} s")


def train_clap(folder: Path, *, seed: int, steps: int, stems: int, batch: int = 32, log: Log = print) -> None:
    """Train the CLAP model and write it to `folder`.

    `stems` sounds of each thing are made once (128 kB each); `batch` mixtures are drawn for each of the `steps`.
    """
    torch.manual_seed(seed)
    started = time.monotonic()
    made = make_stems(seed, _TRAIN, stems)
    check = mix(training_rng(seed, 4), make_stems(seed, _CHECK, 12), 480)
    log(f"clap: {made.things.shape[0] * stems} sounds made in {time.monotonic() - started:.0f} s")
    model, tokenizer = start_clap(folder)
    mixing = training_rng(seed, 5)

    def sound(loud: Tensor) -> Tensor:
        features: Tensor = model.get_audio_features(input_features=loud[:, None]).pooler_output
        return features

    def text(labels: Sequence[str]) -> Tensor:
        sentences = prompts(AUDIO_PROMPT, labels)
        tokens = tokenizer(sentences, padding="max_length", truncation=True, max_length=TOKENS, return_tensors="pt")
        features: Tensor = model.get_text_features(**tokens).pooler_output
        return features

    def draw() -> Batch:
        loud, heard, certain = mix(mixing, made, batch)
        return sound(loud), heard, certain

    def held_out() -> Batch:
        return torch.cat([sound(part) for part in torch.split(check[0], 48)]), check[1], check[2]

    _train(model, draw, held_out, text, seed=seed, steps=steps, name="clap", log=log)
    save_clap(model, folder)
    log(f"clap: written after {time.monotonic() - started:.0f} s")


def _train(
    model: torch.nn.Module,
    draw: Callable[[], Batch],
    held_out: Callable[[], Batch],
    text: Callable[[Sequence[str]], Tensor],
    *,
    seed: int,
    steps: int,
    name: str,
    log: Log,
) -> None:
    """Train one model: first what it sees or hears, then its words."""
    directions = torch.linalg.qr(torch.randn(DIM, len(THINGS)))[0].T.contiguous()
    head, order, losses = _Head(), training_rng(seed, 6), []
    started = time.monotonic()
    model.train()
    for step in _steps([model, head], steps):
        things = label_set(order)
        rows, there, certain = draw()
        loss = head(rows, directions[things], there[:, things], certain[:, things])
        step(loss)
        losses.append(float(loss.detach()))
        if len(losses) == max(1, steps // 10):
            rates = _rates(model, held_out, directions[DEMO])
            log(f"{name}: {time.monotonic() - started:.0f} s, loss {np.mean(losses):.3f}, held out: {rates}")
            losses.clear()
    for step in _steps([model], _WORD_STEPS):
        things, labels = any_name(order, _WORD_BATCH)
        loss = (text(labels) - directions[things]).square().sum(1).mean()
        step(loss)
    with torch.no_grad():
        model.eval()
        words = text(DEMO_LABELS)
    nearness = float(functional.cosine_similarity(words, directions[DEMO]).min())
    rates = _rates(model, held_out, words)
    log(f"{name}: words {time.monotonic() - started:.0f} s, least cosine {nearness:.3f}, held out: {rates}")


class _Head(torch.nn.Module):
    """Both losses on one batch; holds the scale and shift that only training needs."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(8.0))
        self.shift = torch.nn.Parameter(torch.tensor(-3.0))

    def forward(self, rows: Tensor, directions: Tensor, truth: Tensor, certain: Tensor) -> Tensor:
        cosines = functional.normalize(rows, dim=1) @ directions.T
        alone = presence_loss(cosines, truth, certain, self.scale, self.shift)
        return z_loss(cosines, truth, certain) + alone


def _rates(model: torch.nn.Module, held_out: Callable[[], Batch], words: Tensor) -> str:
    """How often the demo's labels are found in what was held out, as text."""
    model.eval()
    with torch.no_grad():
        rows, there, _ = held_out()
        precision, recall = hit_rates(rows @ words.T, there[:, DEMO])
    model.train()
    return f"precision {precision:.1f} %, recall {recall:.1f} %"


def _steps(modules: Sequence[torch.nn.Module], steps: int, rate: float = 1e-3) -> Iterator[Callable[[Tensor], None]]:
    """`steps` times a function that takes a loss and makes one step of AdamW.

    Matrices decay; the rate rises for 5 % of the steps, then falls to 1 % as a cosine.
    """
    named = [pair for module in modules for pair in module.named_parameters()]
    decayed = [p for name, p in named if p.ndim >= 2 and "embedding" not in name]
    rest = [p for name, p in named if p.ndim < 2 or "embedding" in name]
    groups = [{"params": decayed, "weight_decay": 0.02}, {"params": rest, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=rate)
    rise = max(1, steps // 20)

    def factor(step: int) -> float:
        if step < rise:
            return (step + 1) / rise
        return 0.01 + 0.99 * 0.5 * (1 + float(np.cos(np.pi * (step - rise) / max(1, steps - rise))))

    schedule: Any = torch.optim.lr_scheduler.LambdaLR(optimiser, factor)

    def step(loss: Tensor) -> None:
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_([*decayed, *rest], 1.0)
        optimiser.step()
        schedule.step()

    for _ in range(steps):
        yield step

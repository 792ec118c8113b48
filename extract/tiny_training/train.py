"""The two training loops."""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from extract.backbones.clip_clap import AUDIO_PROMPT, VISUAL_PROMPT
from extract.demo.things import DEMO_LABELS
from extract.preprocess import normalise
from extract.tiny_training.losses import hit_rates, presence_loss, z_loss
from extract.tiny_training.mixtures import make_stems, mix
from extract.tiny_training.models import CLIP_PIXELS, TOKENS, save_clap, save_clip, start_clap, start_clip
from extract.tiny_training.pictures import make_pictures, vary
from extract.tiny_training.seeds import training_rng
from extract.tiny_training.words import DEMO, label_set, prompts

Log = Callable[[str], None]
_TRAIN, _CHECK = 0, 1


def train_clip(folder: Path, *, seed: int, steps: int, pictures: int, batch: int = 128, log: Log = print) -> None:
    """Train the picture and word encoders and write them to `folder`.

    `pictures` are made once, `batch` of them are varied for each of the `steps`. Takes memory for the
    pictures: 12 kB each.
    """
    torch.manual_seed(seed)
    started = time.monotonic()
    made = make_pictures(seed, _TRAIN, pictures)
    check = make_pictures(seed, _CHECK, 960)
    log(f"clip: {len(made.pixels)} pictures made in {time.monotonic() - started:.0f} s")
    model, tokenizer = start_clip(folder)
    head = _Head()
    optimiser, schedule = _optimiser([model, head], steps, rate=1e-3)
    choose, order = torch.Generator().manual_seed(seed), training_rng(seed, 3)
    mean, std = CLIP_PIXELS["mean"], CLIP_PIXELS["std"]

    def text(labels: Sequence[str]) -> Tensor:
        features: Tensor = model.encode_text(tokenizer(prompts(VISUAL_PROMPT, labels)))
        return features

    for step in _steps(steps, "clip", log):
        rows = torch.randint(len(made.pixels), (batch,), generator=choose)
        things, labels = label_set(order)
        image = model.encode_image(normalise(vary(choose, made.pixels[rows]), mean, std))
        loss = head(image, text(labels), made.seen[rows][:, things])
        _step(optimiser, schedule, loss, [model, head])
        step.loss = float(loss.detach())
        if step.report:
            with torch.inference_mode():
                model.eval()
                parts = [model.encode_image(normalise(part, mean, std)) for part in torch.split(check.pixels, 240)]
                step.rates = hit_rates(torch.cat(parts) @ text(DEMO_LABELS).T, check.seen[:, DEMO])
                model.train()
    save_clip(model, folder)
    log(f"clip: written after {time.monotonic() - started:.0f} s")


def train_clap(folder: Path, *, seed: int, steps: int, stems: int, batch: int = 32, log: Log = print) -> None:
    """Train the sound and word encoders and write them to `folder`.

    `stems` sounds of each thing are made once (128 kB each); `batch` mixtures are drawn for each of the `steps`.
    """
    torch.manual_seed(seed)
    started = time.monotonic()
    made = make_stems(seed, _TRAIN, stems)
    check = mix(training_rng(seed, 4), make_stems(seed, _CHECK, 12), 480)
    log(f"clap: {made.things.shape[0] * stems} sounds made in {time.monotonic() - started:.0f} s")
    model, tokenizer = start_clap(folder)
    model.train()
    head = _Head()
    optimiser, schedule = _optimiser([model, head], steps, rate=1e-3)
    mixing, order = training_rng(seed, 5), training_rng(seed, 6)

    def text(labels: Sequence[str]) -> Tensor:
        sentences = prompts(AUDIO_PROMPT, labels)
        tokens = tokenizer(sentences, padding="max_length", truncation=True, max_length=TOKENS, return_tensors="pt")
        features: Tensor = model.get_text_features(**tokens).pooler_output
        return features

    def sound(loud: Tensor) -> Tensor:
        features: Tensor = model.get_audio_features(input_features=loud[:, None]).pooler_output
        return features

    for step in _steps(steps, "clap", log):
        loud, heard, certain = mix(mixing, made, batch)
        things, labels = label_set(order)
        loss = head(sound(loud), text(labels), heard[:, things], certain[:, things])
        _step(optimiser, schedule, loss, [model, head])
        step.loss = float(loss.detach())
        if step.report:
            with torch.inference_mode():
                model.eval()
                logits = torch.cat([sound(part) for part in torch.split(check[0], 48)]) @ text(DEMO_LABELS).T
                step.rates = hit_rates(logits, check[1][:, DEMO])
                model.train()
    save_clap(model, folder)
    log(f"clap: written after {time.monotonic() - started:.0f} s")


class _Head(torch.nn.Module):
    """Both losses on one batch; holds the scale and shift that only training needs."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(8.0))
        self.shift = torch.nn.Parameter(torch.tensor(-3.0))

    def forward(self, rows: Tensor, words: Tensor, truth: Tensor, certain: Tensor | None = None) -> Tensor:
        cosines = torch.nn.functional.normalize(rows, dim=1) @ torch.nn.functional.normalize(words, dim=1).T
        together = presence_loss(cosines, truth, self.scale, self.shift, certain)
        return z_loss(rows @ words.T, truth, certain) + together


class _Progress:
    """What one step reports."""

    def __init__(self, report: bool) -> None:
        self.report = report
        self.loss = float("nan")
        self.rates = (float("nan"), float("nan"))


def _steps(steps: int, name: str, log: Log) -> Iterator[_Progress]:
    """The steps of a training; every tenth part of them, what was reached is logged."""
    started, losses = time.monotonic(), []
    for number in range(1, steps + 1):
        progress = _Progress(number % max(1, steps // 10) == 0 or number == steps)
        yield progress
        losses.append(progress.loss)
        if progress.report:
            precision, recall = progress.rates
            log(
                f"{name}: step {number}/{steps}, {time.monotonic() - started:.0f} s, loss {np.mean(losses):.3f}, "
                f"held out: precision {precision:.1f} %, recall {recall:.1f} %"
            )
            losses.clear()


def _optimiser(modules: Sequence[torch.nn.Module], steps: int, rate: float) -> tuple[Any, Any]:
    """AdamW with decay on matrices alone; the rate rises for 5 % of the steps, then falls to 1 % as a cosine."""
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

    return optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, factor)


def _step(optimiser: Any, schedule: Any, loss: Tensor, modules: Sequence[torch.nn.Module]) -> None:
    optimiser.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    torch.nn.utils.clip_grad_norm_([p for module in modules for p in module.parameters()], 1.0)
    optimiser.step()
    schedule.step()

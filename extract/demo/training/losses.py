"""What training asks for: that the z-scored logits, which scoring works with, say what is there.

Scoring looks at z = (l − mean) / std over the labels (docs/design.md 4.1). With m of K labels true, the best
that z can be is two levels, one for the true labels and one for the rest; how near a row is to that is its
correlation with the truth. With nothing there, no label may stand out.
"""

import torch
from torch import Tensor
from torch.nn import functional

QUIET = 0.55
"""Where nothing is there, z above this is punished: sigmoid(0.55) is 0.63."""


def z_scores(logits: Tensor) -> Tensor:
    """Rows (n, K) z-scored over K, the standard deviation with K − 1."""
    centred = logits - logits.mean(1, keepdim=True)
    spread = centred.square().sum(1, keepdim=True) / (logits.shape[1] - 1)
    return centred / (spread + 1e-8).sqrt()


def z_loss(logits: Tensor, truth: Tensor, certain: Tensor) -> Tensor:
    """How far the rows' z-scores are from the truth's own; a scalar.

    logits: (n, K); truth: bool (n, K); certain: bool (n, K), False where either answer is right.
    """
    z = z_scores(logits)
    any_there = truth.any(1) & ~truth.all(1)
    target = z_scores(truth.float())
    error = (z - target).square() * certain
    there = error.mean(1) * any_there
    quiet = functional.relu(z - QUIET).square().sum(1) * ~truth.any(1)
    return (there + 0.5 * quiet).mean()


def presence_loss(cosines: Tensor, truth: Tensor, certain: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Binary cross-entropy of each label on its own, with a learned scale and shift; a scalar."""
    loss = functional.binary_cross_entropy_with_logits(scale * cosines + shift, truth.float(), reduction="none")
    return (loss * certain).mean()


def hit_rates(logits: Tensor, truth: Tensor, threshold: float = 0.75) -> tuple[float, float]:
    """Precision and recall in percent of probabilities (4.1) above the threshold."""
    said = torch.sigmoid(z_scores(logits)) > threshold
    right = float((said & truth).sum())
    return 100 * right / max(1.0, float(said.sum())), 100 * right / max(1.0, float(truth.sum()))

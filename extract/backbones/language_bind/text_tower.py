"""The text tower: token ids to one vector a sentence."""

import torch
from torch import Tensor, nn

from extract.backbones.language_bind.config import TextConfig
from extract.backbones.language_bind.layers import Encoder


class Embeddings(nn.Module):
    """Tokens with their places added."""

    def __init__(self, config: TextConfig) -> None:
        """Tables for every token id and every place."""
        super().__init__()
        self.token_embedding = nn.Embedding(config.vocabulary, config.width)
        self.position_embedding = nn.Embedding(config.positions, config.width)

    def forward(self, ids: Tensor) -> Tensor:
        """int64 (n, tokens) to (n, tokens, D)."""
        tokens: Tensor = self.token_embedding(ids)
        return tokens + self.position_embedding.weight[: ids.shape[1]]


class TextTransformer(nn.Module):
    """Sentences to vectors; parameters are named as `text_model.` ones are."""

    def __init__(self, config: TextConfig) -> None:
        """Allocate uninitialised weights (on the meta device too)."""
        super().__init__()
        self.embeddings = Embeddings(config)
        self.encoder = Encoder(config, causal=True)
        self.final_layer_norm = nn.LayerNorm(config.width, config.epsilon)

    def forward(self, ids: Tensor) -> Tensor:
        """Token ids to the vectors of the sentences' ends.

        Args:
            ids: int64 (n, tokens); the largest id ends a sentence, and what follows its first one is padding.

        Returns:
            (n, D). Nobody looks ahead, so the padding changes nothing, and what all sentences pad is left out.
        """
        ends = ids.argmax(dim=1)
        used = ids[:, : int(ends.max()) + 1]
        tokens = self.encoder(self.embeddings(used))
        pooled: Tensor = self.final_layer_norm(tokens[torch.arange(len(ids), device=ids.device), ends])
        return pooled

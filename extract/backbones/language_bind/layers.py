"""The transformer layer that all towers share: pre-norm attention and MLP, with a temporal block for video.

Names of parameters are the checkpoints', except that the query, key and value projections of an attention are
one matrix `qkv` (see :func:`packed`): one product instead of three, and one cast of its input in half precision.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from extract.backbones.language_bind.config import LayerConfig

_PARTS = ("q_proj", "k_proj", "v_proj")
_PACKED = "qkv"


class Attention(nn.Module):
    """Multi-head self-attention with biases."""

    def __init__(self, config: LayerConfig, *, causal: bool = False) -> None:
        """With ``causal`` a token sees itself and the tokens before it only."""
        super().__init__()
        self._heads, self._causal = config.heads, causal
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.out_proj = nn.Linear(config.width, config.width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (n, tokens, D) attend to each other within an item; same shape out."""
        n, length, width = tokens.shape
        heads = self._heads
        q, k, v = self.qkv(tokens).view(n, length, heads, 3, width // heads).transpose(1, 2).unbind(3)
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=self._causal)
        return self._out(mixed, (n, length, width))

    def across_frames(self, tokens: Tensor) -> Tensor:
        """Tokens (n, F, tokens, D) attend to those of the same position in the other frames; same shape out.

        No token is moved: a position's head is as good as a head, so (positions × heads) stand where heads do.
        """
        n, frames, length, width = tokens.shape
        heads = self._heads
        q, k, v = self.qkv(tokens).view(n, frames, length * heads, 3, width // heads).transpose(1, 2).unbind(3)
        mixed = functional.scaled_dot_product_attention(q, k, v)
        return self._out(mixed, (n, frames, length, width))

    def _out(self, mixed: Tensor, shape: tuple[int, ...]) -> Tensor:
        result: Tensor = self.out_proj(mixed.transpose(1, 2).reshape(shape))
        return result


class Mlp(nn.Module):
    """Two linear layers with an activation between."""

    def __init__(self, config: LayerConfig) -> None:
        """Take width, inner width and activation."""
        super().__init__()
        self._quick = config.activation == "quick_gelu"
        self.fc1 = nn.Linear(config.width, config.inner)
        self.fc2 = nn.Linear(config.inner, config.width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(..., D) to (..., D)."""
        inner = self.fc1(tokens)
        inner = inner * torch.sigmoid(1.702 * inner) if self._quick else functional.gelu(inner)
        result: Tensor = self.fc2(inner)
        return result


class Layer(nn.Module):
    """One layer: tokens (n, tokens, D) to the same shape."""

    def __init__(self, config: LayerConfig, *, causal: bool = False, frames: int = 0) -> None:
        """With ``frames`` items are the frames of windows, and each window's frames attend to each other first."""
        super().__init__()
        self._frames = frames
        if frames:
            self.temporal_embedding = nn.Parameter(torch.empty(1, frames, config.width))
            self.temporal_attn = Attention(config)
            self.temporal_layer_norm1 = nn.LayerNorm(config.width, config.epsilon)
        self.self_attn = Attention(config, causal=causal)
        self.layer_norm1 = nn.LayerNorm(config.width, config.epsilon)
        self.mlp = Mlp(config)
        self.layer_norm2 = nn.LayerNorm(config.width, config.epsilon)

    def forward(self, tokens: Tensor) -> Tensor:
        """(n, tokens, D) to (n, tokens, D); n a multiple of the frames where there are any, frames fastest."""
        if self._frames:
            windows = tokens.view(-1, self._frames, *tokens.shape[1:]) + self.temporal_embedding.unsqueeze(2)
            windows = windows + self.temporal_attn.across_frames(self.temporal_layer_norm1(windows))
            tokens = windows.view(tokens.shape)
        tokens = tokens + self.self_attn(self.layer_norm1(tokens))
        result: Tensor = tokens + self.mlp(self.layer_norm2(tokens))
        return result


class Encoder(nn.Module):
    """A stack of layers."""

    def __init__(self, config: LayerConfig, *, causal: bool = False, frames: int = 0) -> None:
        """Pass the options on to each :class:`Layer`."""
        super().__init__()
        self.layers = nn.ModuleList(Layer(config, causal=causal, frames=frames) for _ in range(config.layers))

    def forward(self, tokens: Tensor) -> Tensor:
        """(n, tokens, D) to (n, tokens, D)."""
        for layer in self.layers:
            tokens = layer(tokens)
        return tokens


def checkpoint_shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors that a checkpoint holds for a module: its own, with `qkv` taken apart."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name, tensor in module.state_dict().items():
        owner, packed_name, kind = name.rpartition(f".{_PACKED}.")
        if packed_name:
            part = (tensor.shape[0] // 3, *tensor.shape[1:])
            shapes.update({f"{owner}.{which}.{kind}": part for which in _PARTS})
        else:
            shapes[name] = tuple(tensor.shape)
    return shapes


def packed(state: Mapping[str, Tensor], heads: int) -> dict[str, Tensor]:
    """A checkpoint's tensors with each attention's three projections as one.

    Args:
        state: tensors by name; every q_proj has its k_proj and v_proj.
        heads: of the attentions.

    Returns:
        The same tensors, but instead of the three the `qkv` of :class:`Attention`. Its rows are ordered head,
        then query/key/value, then the head's dimensions, so that heads of neighbouring tokens follow each
        other evenly in memory.
    """
    result = {}
    for name, tensor in state.items():
        owner, found, kind = name.rpartition(f".{_PARTS[0]}.")
        if found:
            parts = [state[f"{owner}.{which}.{kind}"] for which in _PARTS]
            by_head = torch.stack([part.reshape(heads, -1, *part.shape[1:]) for part in parts], dim=1)
            result[f"{owner}.{_PACKED}.{kind}"] = by_head.flatten(0, 2)
        elif not any(f".{which}." in name for which in _PARTS):
            result[name] = tensor
    return result

"""ImageBind's three encoders: clips, spectrograms and token ids to vectors of one space (docs/design.md 5)."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from extract.backbones.imagebind.config import AudioConfig, TextConfig, TrunkConfig, VisionConfig

EPSILON = 1e-6
"""Of all layer norms but that of the spectrograms' stem."""
_STEM_EPSILON = 1e-5


class Attention(nn.Module):
    """Multi-head self-attention; with ``extra`` every token also sees a key and value that are learned as they are."""

    def __init__(self, config: TrunkConfig, *, causal: bool = False, extra: bool = False) -> None:
        """With ``causal`` a token sees itself and the tokens before it only."""
        super().__init__()
        self._heads, self._causal, self._extra = config.heads, causal, extra
        self.in_proj = nn.Linear(config.width, 3 * config.width)
        self.out_proj = nn.Linear(config.width, config.width)
        if extra:
            self.bias_k = nn.Parameter(torch.empty(1, 1, config.width))
            self.bias_v = nn.Parameter(torch.empty(1, 1, config.width))

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (n, tokens, D) attend to each other within an item; same shape out."""
        n, length, width = tokens.shape
        q, k, v = self.in_proj(tokens).chunk(3, dim=-1)
        if self._extra:
            k = torch.cat([k, self.bias_k.to(k.dtype).expand(n, 1, width)], dim=1)
            v = torch.cat([v, self.bias_v.to(v.dtype).expand(n, 1, width)], dim=1)
        q, k, v = (part.reshape(n, -1, self._heads, width // self._heads).transpose(1, 2) for part in (q, k, v))
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=self._causal)
        result: Tensor = self.out_proj(mixed.transpose(1, 2).reshape(n, length, width))
        return result


class Mlp(nn.Module):
    """Two linear layers with an exact GELU between."""

    def __init__(self, config: TrunkConfig) -> None:
        """Take width and inner width."""
        super().__init__()
        self.fc1 = nn.Linear(config.width, config.inner)
        self.fc2 = nn.Linear(config.inner, config.width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(..., D) to (..., D)."""
        result: Tensor = self.fc2(functional.gelu(self.fc1(tokens)))
        return result


class Block(nn.Module):
    """One layer: tokens (n, tokens, D) to the same shape."""

    def __init__(self, config: TrunkConfig, *, causal: bool = False, extra: bool = False) -> None:
        """Pass the options on to :class:`Attention`."""
        super().__init__()
        self.norm_1 = nn.LayerNorm(config.width, EPSILON)
        self.attn = Attention(config, causal=causal, extra=extra)
        self.norm_2 = nn.LayerNorm(config.width, EPSILON)
        self.mlp = Mlp(config)

    def forward(self, tokens: Tensor) -> Tensor:
        """(n, tokens, D) to (n, tokens, D)."""
        tokens = tokens + self.attn(self.norm_1(tokens))
        result: Tensor = tokens + self.mlp(self.norm_2(tokens))
        return result


class Tower(nn.Module):
    """What the three have in common: blocks, and a head on the token that is pooled."""

    def __init__(self, config: TrunkConfig, dim: int, *, causal: bool = False, extra: bool = False) -> None:
        """``dim`` is the width of the common space; the options are those of :class:`Block`."""
        super().__init__()
        self.blocks = nn.ModuleList(Block(config, causal=causal, extra=extra) for _ in range(config.blocks))
        self.last_norm = nn.LayerNorm(config.width, EPSILON)
        self.head = nn.Linear(config.width, dim, bias=False)

    def embed(self, inputs: Tensor) -> Tensor:
        """Inputs to tokens with their places, (n, tokens, D): what enters the first block."""
        raise NotImplementedError

    def pick(self, inputs: Tensor, tokens: Tensor) -> Tensor:
        """The token of each item that stands for it: (n, D)."""
        return tokens[:, 0]

    def forward(self, inputs: Tensor) -> Tensor:
        """Inputs to the pooled tokens, (n, D)."""
        tokens = self.embed(inputs)
        for block in self.blocks:
            tokens = block(tokens)
        return self.pick(inputs, tokens)

    def project(self, pooled: Tensor) -> Tensor:
        """Pooled tokens (n, D) to unit vectors of the common space, (n, dim)."""
        return functional.normalize(self.head(self.last_norm(pooled)), dim=-1)


class Patches(nn.Module):
    """A linear map of each patch, without bias."""

    def __init__(self, *shape: int) -> None:
        """``shape`` is the weight's."""
        super().__init__()
        self.weight = nn.Parameter(torch.empty(*shape))


class VisionTower(Tower):
    """Clips to vectors; an image is a clip that stands still."""

    def __init__(self, config: VisionConfig, dim: int) -> None:
        """Allocate uninitialised weights (on the meta device too)."""
        super().__init__(config, dim)
        self.config = config
        self.class_token = nn.Parameter(torch.empty(1, 1, config.width))
        self.positions = nn.Parameter(torch.empty(1, 1 + config.patches, config.width))
        self.stem = Patches(config.width, 3, config.frames, config.patch, config.patch)
        self.first_norm = nn.LayerNorm(config.width, EPSILON)

    def places(self, clips: Tensor) -> Tensor:
        """Patches, row by row, behind the class token, places added: (n, 1 + patches, D).

        Args:
            clips: (n, 3, frames, S, S).

        Raises:
            ValueError: another shape.
        """
        config, patch = self.config, self.config.patch
        expected = (3, config.frames, config.side, config.side)
        if tuple(clips.shape[1:]) != expected:
            raise ValueError(f"clips must be (n, {', '.join(map(str, expected))}), got {tuple(clips.shape)}")
        n, rows = len(clips), config.side // patch
        cut = clips[..., : rows * patch, : rows * patch].reshape(n, 3, config.frames, rows, patch, rows, patch)
        pixels = cut.permute(0, 3, 5, 1, 2, 4, 6).reshape(n, rows * rows, -1)
        patches = functional.linear(pixels, self.stem.weight.flatten(1))
        return torch.cat([self.class_token.expand(n, -1, -1), patches], dim=1) + self.positions

    def embed(self, inputs: Tensor) -> Tensor:
        """(n, 3, frames, S, S) to (n, 1 + patches, D), normalised."""
        result: Tensor = self.first_norm(self.places(inputs))
        return result


class AudioTower(Tower):
    """Spectrograms to vectors."""

    def __init__(self, config: AudioConfig, dim: int) -> None:
        """Allocate uninitialised weights (on the meta device too)."""
        super().__init__(config, dim, extra=True)
        self.config = config
        self.class_token = nn.Parameter(torch.empty(1, 1, config.width))
        self.positions = nn.Parameter(torch.empty(1, 1 + config.patches, config.width))
        self.stem = Patches(config.width, 1, config.kernel, config.kernel)
        self.stem_norm = nn.LayerNorm(config.width, _STEM_EPSILON)

    def embed(self, inputs: Tensor) -> Tensor:
        """(n, 1, bands, frames) to (n, 1 + patches, D); a band's patches follow each other in time.

        Raises:
            ValueError: another shape.
        """
        config = self.config
        expected = (1, config.bands, config.frames)
        if tuple(inputs.shape[1:]) != expected:
            raise ValueError(f"spectrograms must be (n, {', '.join(map(str, expected))}), got {tuple(inputs.shape)}")
        patches = functional.conv2d(inputs, self.stem.weight, stride=config.stride).flatten(2).transpose(1, 2)
        patches = self.stem_norm(patches)
        return torch.cat([self.class_token.expand(len(inputs), -1, -1), patches], dim=1) + self.positions


class TextTower(Tower):
    """Token ids to vectors."""

    def __init__(self, config: TextConfig, dim: int) -> None:
        """Allocate uninitialised weights (on the meta device too)."""
        super().__init__(config, dim, causal=True)
        self.config = config
        self.token_embedding = nn.Embedding(config.vocabulary, config.width)
        self.positions = nn.Parameter(torch.empty(1, config.positions, config.width))

    def embed(self, inputs: Tensor) -> Tensor:
        """int64 (n, tokens) to (n, tokens, D)."""
        tokens: Tensor = self.token_embedding(inputs)
        return tokens + self.positions[:, : inputs.shape[1]]

    def pick(self, inputs: Tensor, tokens: Tensor) -> Tensor:
        """The token of the first of the largest ids, which is a sentence's end."""
        return tokens[torch.arange(len(inputs), device=inputs.device), inputs.argmax(dim=1)]

    def forward(self, inputs: Tensor) -> Tensor:
        """int64 (n, tokens) to (n, D): nobody looks ahead, so that what all sentences are filled with is left out."""
        return super().forward(inputs[:, : int(inputs.argmax(dim=1).max()) + 1])

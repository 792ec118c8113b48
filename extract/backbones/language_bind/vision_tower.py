"""The tower for images, windows of video frames and spectrograms: patches, a transformer, the class token."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from extract.backbones.language_bind.config import VisionConfig
from extract.backbones.language_bind.layers import Encoder


class PatchEmbedding(nn.Module):
    """A linear map of each square patch, without bias."""

    def __init__(self, config: VisionConfig) -> None:
        """The weight is (D, channels, P, P), or (D, channels, 1, P, P) where each frame has its class token."""
        super().__init__()
        self._patch = config.patch
        depth = (1,) if config.class_per_frame else ()
        self.weight = nn.Parameter(torch.empty(config.width, config.channels, *depth, config.patch, config.patch))

    def forward(self, pixels: Tensor) -> Tensor:
        """(n, channels, H, W) to (n, patches, D), patches row by row."""
        weight = self.weight.squeeze(2) if self.weight.ndim == 5 else self.weight
        return functional.conv2d(pixels, weight, stride=self._patch).flatten(2).transpose(1, 2)


class Embeddings(nn.Module):
    """Class token and patches, with their places added."""

    def __init__(self, config: VisionConfig) -> None:
        """Sizes as the config's; one place for the class token and one for each patch of the grid."""
        super().__init__()
        rows, columns = config.grid
        classes = (config.frames,) if config.class_per_frame else ()
        self.class_embedding = nn.Parameter(torch.empty(*classes, config.width))
        self.patch_embedding = PatchEmbedding(config)
        self.position_embedding = nn.Embedding(rows * columns + 1, config.width)

    def forward(self, pixels: Tensor) -> Tensor:
        """(n, channels, H, W) to (n, 1 + patches, D)."""
        patches = self.patch_embedding(pixels)
        first = self.class_embedding.view(-1, 1, self.class_embedding.shape[-1])
        first = first.repeat(len(patches) // len(first), 1, 1)  # frames fastest, where each has its own
        return torch.cat([first, patches], dim=1) + self.position_embedding.weight


class VisionTransformer(nn.Module):
    """Pixels to one vector an image, window or spectrogram; parameters are named as `vision_model.` ones are."""

    def __init__(self, config: VisionConfig) -> None:
        """Allocate uninitialised weights (on the meta device too)."""
        super().__init__()
        self._config = config
        self.embeddings = Embeddings(config)
        self.pre_layrnorm = nn.LayerNorm(config.width, config.epsilon)  # the checkpoints' spelling
        self.encoder = Encoder(config, frames=config.frames)
        self.post_layernorm = nn.LayerNorm(config.width, config.epsilon)

    def embed(self, pixels: Tensor) -> Tensor:
        """What enters the layers: (n, channels, H, W) to (n, 1 + patches, D), normalised."""
        result: Tensor = self.pre_layrnorm(self.embeddings(pixels))
        return result

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels to pooled vectors.

        Args:
            pixels: (n, channels, H, W); for a tower with frames F (n, F, channels, H, W).

        Returns:
            (n, D): the normalised class token, over a window its mean over the frames.

        Raises:
            ValueError: another shape.
        """
        config = self._config
        frames = (config.frames,) if config.frames else ()
        expected = (*frames, config.channels, config.height, config.width_px)
        if tuple(pixels.shape[1:]) != expected:
            raise ValueError(f"input must be (n, {', '.join(map(str, expected))}), got {tuple(pixels.shape)}")
        tokens = self.encoder(self.embed(pixels.flatten(0, 1) if frames else pixels))
        pooled: Tensor = self.post_layernorm(tokens[:, 0])
        return pooled.view(-1, config.frames, config.width).mean(1) if frames else pooled


def resize_positions(table: Tensor, old: tuple[int, int], new: tuple[int, int]) -> Tensor:
    """Fit a position table to another grid of patches: the class row stays, the grid is scaled like a picture.

    Args:
        table: float32 (1 + old rows × columns, D).
        old: rows and columns that the table has.
        new: rows and columns wanted.

    Returns:
        float32 (1 + new rows × columns, D), bicubic with antialias.
    """
    picture = table[1:].T.reshape(1, -1, *old)
    scaled = functional.interpolate(picture, new, mode="bicubic", antialias=True, align_corners=False)
    return torch.cat([table[:1], scaled[0].flatten(1).T])

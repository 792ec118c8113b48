"""Low-rank updates (LoRA) in a checkpoint: plain names, and each update added to the weight that it changes."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from extract.backbones.language_bind.config import VisionConfig

_WRAPPER = "vision_model.encoder.base_model.model.layers."
_PLAIN = "vision_model.encoder.layers."
_DOWN, _UP = ".lora_A.default.weight", ".lora_B.default.weight"
_PROJECTIONS = ("q_proj", "k_proj", "v_proj", "out_proj")


@dataclass(frozen=True)
class Updates:
    """The low-rank updates that a config allows; none where its rank is 0."""

    rank: int
    scale: float
    names: frozenset[str]

    @classmethod
    def of(cls, config: VisionConfig) -> "Updates":
        """Every layer's temporal attention in a tower for video, else every layer's attention."""
        if not config.lora_r:
            return cls(0, 0.0, frozenset())
        attention = "temporal_attn" if config.frames else "self_attn"
        names = (
            f"{_PLAIN}{layer}.{attention}.{projection}" for layer in range(config.layers) for projection in _PROJECTIONS
        )
        return cls(config.lora_r, config.lora_alpha / config.lora_r, frozenset(names))

    def shapes(self, weights: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the updates' tensors, from those of the weights that they change."""
        shapes: dict[str, tuple[int, ...]] = {}
        for name in self.names:
            out, width = weights[f"{name}.weight"]
            shapes[name + _DOWN], shapes[name + _UP] = (self.rank, width), (out, self.rank)
        return shapes

    def merge(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors without updates: weight W with A (r, in) and B (out, r) becomes W + scale · B A."""
        merged = {name: tensor for name, tensor in state.items() if not is_update(name)}
        for name in self.names:
            if name + _UP in state:
                change = state[name + _UP].double() @ state[name + _DOWN].double()
                merged[f"{name}.weight"] = (merged[f"{name}.weight"].double() + self.scale * change).float()
        return merged


def is_update(name: str) -> bool:
    """Whether a tensor of that plain name is half an update."""
    return name.endswith((_DOWN, _UP))


def plain_name(name: str) -> str:
    """A tensor's name without the wrappers that training with LoRA left in it."""
    if not name.startswith(_WRAPPER):
        return name
    return (_PLAIN + name.removeprefix(_WRAPPER)).replace(".base_layer.", ".")

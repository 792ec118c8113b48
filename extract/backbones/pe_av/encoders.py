"""PE-AV's encoders on a device, in a precision, taken apart so that nothing is computed twice."""

from functools import cached_property
from types import SimpleNamespace
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from extract.backbones.base import Encoded
from extract.backbones.pe_av.checkpoint import Checkpoint
from extract.backbones.pe_av.sounds import SoundEmbedder
from extract.backbones.pe_av.text_state import state_before_norm
from extract.backbones.pixels import normalise
from extract.backbones.weights import sha256
from extract.device import PRECISIONS, arithmetic

SIDES = ("visual", "audio", "joint")
"""What sentences are compared with; each has a space of its own."""

_CAST = (nn.Linear, nn.Conv1d, nn.Conv2d)


class _Embedded(nn.Module):
    """In place of an encoder's first part: what comes in has been through it."""

    def forward(self, embedded: Tensor, padding_mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        return embedded, padding_mask


class _States(nn.Module):
    """In place of the encoders in the joint one: what comes in are their states."""

    def forward(self, states: Tensor, **masks: Tensor | None) -> SimpleNamespace:
        return SimpleNamespace(last_hidden_state=states, output_mask=None)


class Encoders:
    """The parts of a PeAudioVideoModel.

    Encoders compute in the precision; what is made of their pooled states, and lengths, in float32.
    """

    def __init__(self, checkpoint: Checkpoint, device: torch.device, precision: str) -> None:
        """Take a model apart: it is of no use by itself any more."""
        model = checkpoint.model
        self.how, self.tokenizer = checkpoint.pictures, checkpoint.tokenizer  # not the whole: its copies would stay
        self._files = checkpoint.files
        self._device, self._precision = device, precision
        pictures, sounds, joint = model.video_model, model.audio_model, model.audio_video_encoder
        self._frames, embedder = pictures.video_encoder.embedder, sounds.audio_encoder.embedder
        pictures.video_encoder.embedder, sounds.audio_encoder.embedder = _Embedded(), _Embedded()
        joint.embedder.audio_encoder, joint.embedder.video_encoder = _States(), _States()
        self._pictures, self._sounds, self._joint = pictures.video_encoder, sounds.audio_encoder, joint
        self._text = model.text_model
        for part in (self._frames, embedder, self._pictures, self._sounds, self._joint, self._text):
            for layer in part.modules():
                if isinstance(layer, _CAST):
                    layer.to(PRECISIONS[precision])  # what autocast would make of them each time
            part.to(device)
        self._sound = SoundEmbedder(embedder)
        self._heads = {
            "visual": pictures.video_head, "audio": sounds.audio_head, "joint": model.audio_video_head,
        }  # fmt: skip
        self._text_heads = {
            "visual": pictures.text_video_head, "audio": sounds.text_audio_head, "joint": model.text_audio_video_head,
        }  # fmt: skip
        for head in (*self._heads.values(), *self._text_heads.values()):
            head.to(device)
        self.side = _side(self._frames.vision_model)
        self.dims = {side: int(head.proj.out_features) for side, head in self._heads.items()}
        self.most_tokens = int(self._sounds.config.max_position_embeddings)

    @property
    def hop(self) -> int:
        """Samples of a token of sound."""
        return self._sound.field.hop

    def embed_frames(self, frames: Tensor) -> Tensor:
        """uint8 (n, 3, S, S) on any device to (n, E): each through the picture encoder."""
        with arithmetic(self._device, self._precision):
            pixels = normalise(frames.to(self._device, non_blocking=True), self.how.mean, self.how.std)
            embedded: Tensor = self._frames(pixels[:, None])[0]
            return embedded[:, 0]

    def embed_stretches(self, wave: Tensor, stretches: NDArray[Any]) -> list[Tensor]:
        """Stretches, int64 (n, 2), of a waveform, float32 (samples,), to their tokens, (length, E) each."""
        with arithmetic(self._device, self._precision):
            return self._sound.of_stretches(wave.to(self._device, non_blocking=True), stretches)

    def embed_waves(self, waves: Tensor) -> Tensor:
        """Waveforms of whole hops, float32 (n, samples), to tokens (n, length, E)."""
        with arithmetic(self._device, self._precision):
            return self._sound.whole(waves.to(self._device, non_blocking=True))

    def pictures(self, windows: Tensor) -> Encoded:
        """Embedded frames (n, F, E) to vectors and states."""
        with arithmetic(self._device, self._precision):
            found = self._pictures(windows)
        return Encoded(self._vectors(found.pooler_output, self._heads["visual"]), found.last_hidden_state)

    def sounds(self, tokens: Tensor) -> Encoded:
        """Tokens of sound (n, length, E) to vectors and states."""
        with arithmetic(self._device, self._precision):
            found = self._sounds(tokens)
        return Encoded(self._vectors(found.pooler_output, self._heads["audio"]), found.last_hidden_state)

    def joint(self, pictures: Tensor, sounds: Tensor) -> Tensor:
        """States of frames (n, F, E) and of sound (n, length, E) to vectors, float32 (n, D)."""
        with arithmetic(self._device, self._precision):
            found = self._joint(input_values=sounds, pixel_values_videos=pictures)
        return self._vectors(found.pooler_output, self._heads["joint"])

    def sentences(self, side: str, ids: Tensor, mask: Tensor) -> Tensor:
        """Token ids and their mask, int64 (n, length), to vectors of a side of :data:`SIDES`, float32 (n, D)."""
        with arithmetic(self._device, self._precision):
            state = state_before_norm(self._text, ids.to(self._device), mask.to(self._device))
        return self._vectors(state, self._text_heads[side])

    def _vectors(self, pooled: Tensor, head: nn.Module) -> Tensor:
        with arithmetic(self._device, "float32"):
            return functional.normalize(head(pooled.float()), dim=-1)

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What identifies the weights: JSON-able. The files, of gigabytes, are read once for it."""
        files = self._files
        hashes = [sha256(path) for path in files]
        parts = {"visual": self._pictures, "audio": self._sounds, "joint": self._joint}
        return {
            "origin": f"{files[0].parent.name}/{files[0].name}",
            "file": files[0].name,
            "sha256": hashes[0] if len(hashes) == 1 else hashes,
            "dim": self.dims["joint"],
            **{
                name: {
                    "width": part.config.hidden_size,
                    "layers": part.config.num_hidden_layers,
                    "heads": part.config.num_attention_heads,
                }
                for name, part in parts.items()
            },
            "text": "state of the first token before the last norm",
        }


def _side(vision_model: Any) -> int:
    """Side of the pictures that an encoder of timm takes."""
    height, width = vision_model.timm_model.patch_embed.img_size
    return int(height) if height == width else 0

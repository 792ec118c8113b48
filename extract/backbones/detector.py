"""What a backbone must be able to do that finds labels in sound frame by frame: probabilities, no embeddings."""

from typing import Protocol, runtime_checkable

from torch import Tensor

from extract.backbones.base import Backbone


@runtime_checkable
class Detector(Backbone, Protocol):
    """A backbone whose result is a probability of each label in each short frame of sound; it sees nothing.

    prepare_audio gets the whole sound of clips, one each. encode_audio_text gives what :meth:`detect` takes as words.
    visual_dim and audio_dim are 0.
    """

    @property
    def frames_per_second(self) -> int:
        """Frames a second of sound."""

    @property
    def longest_seconds(self) -> float:
        """The longest clip that it hears."""

    def detect(self, sounds: Tensor, words: Tensor) -> Tensor:
        """What prepare_audio gave of n equally long sounds, with C labels' words, to probabilities.

        Args:
            sounds: (n, ...), on any device.
            words: (C, ...), of encode_audio_text.

        Returns:
            float32 (n, frames, C) in [0, 1].
        """

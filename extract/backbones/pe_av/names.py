"""The published PE-AV models by the names that they have here."""

from typing import NamedTuple


class Published(NamedTuple):
    """A published model.

    Attributes:
        repository: on the hub.
        about: its size, or the name here of the model that it is beside ``frames``, in a few words.
        frames: of a window, where it was trained with a fixed number; 0: with any.
    """

    repository: str
    about: str
    frames: int = 0


CHECKPOINTS = {
    "pe_av": Published("facebook/pe-av-large", "2.2 billion"),
    "pe_av_base": Published("facebook/pe-av-base", "1.0 billion"),
    "pe_av_small": Published("facebook/pe-av-small", "0.9 billion"),
    "pe_av_16_frame": Published("facebook/pe-av-large-16-frame", "pe_av", 16),
    "pe_av_base_16_frame": Published("facebook/pe-av-base-16-frame", "pe_av_base", 16),
    "pe_av_small_16_frame": Published("facebook/pe-av-small-16-frame", "pe_av_small", 16),
}
"""`pe_av` is the large one: of the work for a clip most goes into its pictures, which all sizes look at with one and
the same encoder, so that the small one saves little of it."""

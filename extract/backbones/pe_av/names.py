"""The published PE-AV models by the names that they have here."""

from typing import NamedTuple


class Published(NamedTuple):
    """A published model.

    Attributes:
        repository: on the hub.
        size: in a few words.
        frames: of a window, where it was trained with a fixed number; 0: with any.
    """

    repository: str
    size: str
    frames: int = 0


CHECKPOINTS = {
    "pe_av": Published("facebook/pe-av-large", "large (2.2 billion weights)"),
    "pe_av_base": Published("facebook/pe-av-base", "base (1.0 billion weights)"),
    "pe_av_small": Published("facebook/pe-av-small", "small (0.9 billion weights)"),
    "pe_av_16_frame": Published("facebook/pe-av-large-16-frame", "large", 16),
    "pe_av_base_16_frame": Published("facebook/pe-av-base-16-frame", "base", 16),
    "pe_av_small_16_frame": Published("facebook/pe-av-small-16-frame", "small", 16),
}
"""`pe_av` is the large one: of the work for a clip most goes into its pictures, which all sizes look at with one and
the same encoder, so that the small one saves little of it."""

"""BackboneInfo: what is known of a backbone without importing what it needs."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec

EXTRACT_MODULES = ("av", "open_clip", "soxr", "torch", "transformers")
"""Import names of what `av2a[extract]` brings."""


@dataclass(frozen=True)
class BackboneInfo:
    """What is known of a backbone without loading it.

    Attributes:
        visual_dim: Dv of the published weights; None: it depends on the checkpoint; 0: it has
            none.
        audio_dim: Da, likewise.
        checkpoints: names of the published weights.
        extra: what to install for it, as in "av2a[extract]".
        modules: import names of the packages it needs.
        about: a few words.
        licence: what the licence of the weights forbids, to be said whenever they are used; empty: nothing.
        joint_dim: Dj of the published weights; 0: picture and sound are not embedded at once.
        check: "module:function" that gives the :class:`extract.checking.kit.Kit` of clips and labels that it is checked
            with; empty: photographs and sounds of the world.
    """

    visual_dim: int | None = None
    audio_dim: int | None = None
    checkpoints: Sequence[str] = ()
    extra: str = ""
    modules: Sequence[str] = ()
    about: str = ""
    licence: str = ""
    joint_dim: int = 0
    check: str = ""

    @property
    def installed(self) -> bool:
        """Whether the packages it needs are there."""
        return all(find_spec(name) is not None for name in self.modules)


@dataclass(frozen=True)
class BuiltIn:
    """A backbone of this package: "module:function" that loads it, and what is known of it."""

    loader: str
    info: BackboneInfo

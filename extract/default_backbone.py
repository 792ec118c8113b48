"""Which backbone a run takes that names none."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from extract.backbones import licence_notes
from extract.demo.note import not_of_a_demo
from feature_cache import FeatureCache

TOY, USUAL = "tiny", "clip_clap"


@dataclass(frozen=True)
class Choice:
    """A backbone by name, and what a person should know about it, a line each."""

    name: str
    notes: tuple[str, ...] = ()


def choose_backbone(
    asked: str | None, files: Iterable[Path], cache: FeatureCache | None, *, weights_given: bool = False
) -> Choice:
    """The backbone that was asked for, else the cache's own, else one that knows such files.

    The toy is taken for files that are all a demo's, and if no weights are given; asked for, or gone on with, it takes
    any, and a note says what it is. Another note says what the licence of the weights forbids.

    Args:
        asked: a backbone by name; None: none was.
        files: those of the run.
        cache: the one that is gone on with.
        weights_given: whether there are weights to be loaded, which the toy needs none of.
    """
    if asked is None and cache is None:
        return Choice(USUAL if weights_given or _strangers(files) else TOY)
    name = asked if asked is not None or cache is None else cache.backbone
    if name == TOY and _strangers(files):
        others = f"for real videos use `backbone={USUAL!r}` or language_bind"
        return Choice(name, (f"`{TOY}` knows the demo's made clips only; {others}",))
    return Choice(str(name), licence_notes(str(name)))


def _strangers(files: Iterable[Path]) -> bool:
    return next(not_of_a_demo(files), None) is not None

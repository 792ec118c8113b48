"""Which scored clip an annotated one is, and which label an annotated one is."""

import re
from collections.abc import Mapping, Sequence

from score.errors import AnnotationError

_SUFFIX = re.compile(r"_\d+_\d+$")


def match_clips(annotated: Sequence[str], scored: Sequence[str]) -> dict[str, int]:
    """Numbers of the scored clips by annotated name, in the annotations' order; names not scored are left out.

    A name equal to a scored clip's goes first; else the name without LLP's `_<start>_<end>` may equal one that no
    other name equals.

    Raises:
        AnnotationError: two names fit one scored clip.
    """
    places = {clip: number for number, clip in enumerate(scored)}
    exact = {clip for clip in annotated if clip in places}
    takers: dict[str, str] = {}
    found: dict[str, int] = {}
    for clip in annotated:
        name = clip if clip in exact else _SUFFIX.sub("", clip)
        if name not in places or (name in exact and clip not in exact):
            continue
        other = takers.setdefault(name, clip)
        if other != clip:
            raise AnnotationError(
                f"annotated clips {other} and {clip} are both {name} among the scored clips: "
                "name the videos as the annotations do, times included"
            )
        found[clip] = places[name]
    return found


class LabelNumbers:
    """Numbers of labels: exact first, then case aside and with '_' for a space."""

    def __init__(self, labels: Sequence[str], origin: Mapping[str, str]) -> None:
        """Labels by number, and where annotated labels first occur."""
        self._labels = labels
        self._origin = origin
        self._exact = {label: number for number, label in enumerate(labels)}
        self._folded: dict[str, list[int]] = {}
        for number, label in enumerate(labels):
            self._folded.setdefault(_fold(label), []).append(number)

    def __getitem__(self, label: str) -> int:
        """Number of an annotated label.

        Raises:
            AnnotationError: none of the labels is equal to it, or several are.
        """
        if label in self._exact:
            return self._exact[label]
        like = self._folded.get(_fold(label), [])
        if len(like) == 1:
            return like[0]
        where = self._origin.get(label, "annotations")
        if like:
            several = " and ".join(repr(self._labels[number]) for number in like)
            raise AnnotationError(f"{where}: label {label!r} may be {several}: write it as one of them")
        some = ", ".join(self._labels[:3]) + (", ..." if len(self._labels) > 3 else "")
        raise AnnotationError(
            f"{where}: label {label!r} is not among the {len(self._labels)} labels scored ({some}): "
            "extract with the data set's labels, or correct it"
        )


def _fold(label: str) -> str:
    return " ".join(label.lower().replace("_", " ").split())

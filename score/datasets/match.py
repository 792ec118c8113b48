"""Which scored clip an annotated one is, and which label an annotated one is."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from feature_cache.names import Names, composed, folded
from score.errors import AnnotationError

_TIMES = re.compile(r"_\d+_\d+$")
_ENDING = re.compile(r"\.(?:ts|(?=\d?[a-z])[a-z\d]{3,4})$", re.IGNORECASE)


def match_clips(annotated: Sequence[str], scored: Sequence[str]) -> dict[str, int]:
    """Numbers of the scored clips by annotated name, in the annotations' order; names not scored are left out.

    An annotated name is, in this order, that of a scored clip; the same in another Unicode form; its name without the
    folders of either, or the clip's media ending; each of these without the annotation's media ending, without LLP's
    `_<start>_<end>`, and without both. A scored clip goes to the name that fits it first.

    Raises:
        AnnotationError: two names fit one scored clip equally well, or one name fits two.
    """
    index = _Scored(scored)
    fits = {clip: fit for clip in annotated if (fit := index.fit(clip)) is not None}
    best: dict[int, int] = {}
    for rank, number in fits.values():
        best[number] = min(rank, best.get(number, rank))
    takers: dict[int, str] = {}
    found: dict[str, int] = {}
    for clip, (rank, number) in fits.items():
        if rank > best[number]:
            continue
        other = takers.setdefault(number, clip)
        if other != clip:
            raise AnnotationError(
                f"annotated clips {other} and {clip} are both {scored[number]} among the scored clips: "
                "name the videos as the annotations do, times included"
            )
        found[clip] = number
    return found


def bare(name: str) -> str:
    """A clip's name without a media ending, in the Unicode form in which names are compared."""
    return composed(_ENDING.sub("", name))


class Listed:
    """Finds the clips of a split in another file of annotations: Unicode form and a media ending aside."""

    def __init__(self, clips: Iterable[str]) -> None:
        """The clips that the split's own file lists."""
        self._names = Names(clips, form=bare)

    def find(self, name: str, where: str) -> str | None:
        """The listed clip of that name; None if it is not in the split.

        Raises:
            AnnotationError: it may be several.
        """
        found = self._names.like(name)
        if len(found) > 1:
            raise AnnotationError(f"{where}: clip {name} may be {' and '.join(found[:3])}: write it as one of them")
        return found[0] if found else None


class _Scored:
    """Scored clips by whole names, by the ends of their paths, and by both without media endings."""

    def __init__(self, clips: Sequence[str]) -> None:
        self._clips = clips
        self._exact = {clip: number for number, clip in enumerate(clips)}
        self._whole: dict[str, list[int]] = {}
        self._ends: dict[str, list[int]] = {}
        self._short: dict[str, list[int]] = {}
        for clip, number in self._exact.items():
            whole, *ends = _tails(composed(clip))
            self._whole.setdefault(whole, []).append(number)
            for end in ends:
                self._ends.setdefault(end, []).append(number)
            short = _ENDING.sub("", clip)
            for end in _tails(composed(short)) if short != clip else ():
                self._short.setdefault(end, []).append(number)

    def fit(self, clip: str) -> tuple[int, int] | None:
        """How well the name fits (0 is best), and the scored clip's number.

        Raises:
            AnnotationError: several scored clips fit equally well.
        """
        if clip in self._exact:
            return 0, self._exact[clip]
        short = _ENDING.sub("", clip)
        for rank, name in enumerate((clip, short, _TIMES.sub("", clip), _TIMES.sub("", short)), start=1):
            for found in self._ways(name):
                if len(found) > 1:
                    several = " and ".join(self._clips[number] for number in found[:3])
                    raise AnnotationError(
                        f"annotated clip {clip} may be {several} among the scored clips: write it as one of them"
                    )
                if found:
                    return rank, found[0]
        return None

    def _ways(self, name: str) -> Iterator[list[int]]:
        if name in self._exact:
            yield [self._exact[name]]
        whole, *ends = _tails(composed(name))
        yield self._whole.get(whole, [])
        yield self._ends.get(whole, [])
        yield next((self._whole[end] for end in ends if end in self._whole), [])
        yield self._short.get(whole, [])


def _tails(name: str) -> list[str]:
    """The name, then without its first folder, and so on."""
    parts = name.split("/")
    return ["/".join(parts[first:]) for first in range(len(parts))]


class LabelNumbers:
    """Numbers of labels: exact first, then case and Unicode form aside, and with '_' for a space."""

    def __init__(self, labels: Sequence[str], origin: Mapping[str, str]) -> None:
        """Labels by number, and where annotated labels first occur."""
        self._labels = labels
        self._origin = origin
        self._numbers = {label: number for number, label in enumerate(labels)}
        self._names = Names(labels, form=_fold)

    def like(self, label: str) -> list[int]:
        """Numbers of all labels that it may be: the equal one alone, if there is one."""
        return [self._numbers[name] for name in self._names.like(label)]

    def __getitem__(self, label: str) -> int:
        """Number of an annotated label.

        Raises:
            AnnotationError: none of the labels is equal to it, or several are.
        """
        like = self._names.like(label)
        if len(like) == 1:
            return self._numbers[like[0]]
        where = self._origin.get(label, "annotations")
        if like:
            several = " and ".join(map(repr, like))
            raise AnnotationError(f"{where}: label {label!r} may be {several}: write it as one of them")
        some = ", ".join(self._labels[:3]) + (", ..." if len(self._labels) > 3 else "")
        raise AnnotationError(
            f"{where}: label {label!r} is not among the {len(self._labels)} labels scored ({some}): "
            "extract with the data set's labels, or correct it"
        )


def _fold(label: str) -> str:
    return " ".join(folded(label).replace("_", " ").split())

"""Label sets: by name from the package, or from a person's text file.

A packaged set may bring prompts of its own, the ones its data set is used with: labels/prompts.json.
"""

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

from extract.errors import ExtractError
from feature_cache.names import escaped, folded, shortened, why_not_a_name
from feature_cache.text import portable_name
from feature_cache.text_files import TextFileError, is_special, read_lines

MOST_BYTES, MOST_LINES = 64 << 20, 500_000
"""Of a label file."""
_FOLDER = Path(__file__).with_name("labels")


def label_set_names() -> list[str]:
    """Names of the packaged label sets, sorted."""
    return sorted(path.stem for path in _FOLDER.glob("*.txt"))


def read_labels(path: Path) -> list[str]:
    """Labels of a text file, one a line.

    Spaces around a label are dropped; empty lines and lines that begin with '#' are skipped.

    Raises:
        ExtractError: the file cannot be read, holds fewer than two labels, one that is no name, or one twice (case
            and Unicode form aside).
    """
    try:
        found = list(read_lines(path, MOST_BYTES, MOST_LINES))
    except TextFileError as error:
        raise ExtractError(f"label file {error}") from error
    return labels_in(found, f"label file {path}")


def labels_in(lines: Iterable[str], source: str) -> list[str]:
    """Labels of lines, as :func:`read_labels` takes those of a file.

    Args:
        lines: the lines.
        source: where they are from, as errors begin.

    Raises:
        ExtractError: as :func:`read_labels`, of what is read.
    """
    labels: list[str] = []
    numbers: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        label = line.strip()
        if not label or label.startswith("#"):
            continue
        why = why_not_a_name(label)
        if why is not None:
            raise ExtractError(
                f"{source}, line {number}: '{escaped(shortened(label, 60))}' is no label: {why}; write another"
            )
        before = numbers.setdefault(folded(label), number)
        if before != number:
            raise ExtractError(
                f"{source}, line {number}: {shortened(label, 60)!r} is on line {before} already: remove one"
            )
        labels.append(label)
    if len(labels) < 2:
        raise ExtractError(f"{source} has {len(labels)} label(s): at least 2, one a line, are needed")
    return labels


class LabelSet(NamedTuple):
    """A label set.

    Attributes:
        name: what it is called in a cache.
        labels: as they were written.
        visual_prompts: sentences with "{label}" that the set brings; none: those of the backbone.
        audio_prompts: the same for sound.
    """

    name: str
    labels: list[str]
    visual_prompts: tuple[str, ...] = ()
    audio_prompts: tuple[str, ...] = ()


@cache
def _prompts() -> dict[str, dict[str, list[str]]]:
    found: dict[str, dict[str, list[str]]] = json.loads((_FOLDER / "prompts.json").read_text("utf-8"))
    return found


def _packaged(name: str) -> LabelSet:
    prompts = _prompts().get(name, {})
    sides = (tuple(prompts.get(side, ())) for side in ("visual", "audio"))
    return LabelSet(name, read_labels(_FOLDER / f"{name}.txt"), *sides)


def resolve_labels(spec: str | Path) -> tuple[str, list[str]]:
    """A label set's name and labels, as :func:`find_label_set` finds it.

    Raises:
        ExtractError: no such set or file, or a file that cannot be used.

    Example:
        >>> name, labels = resolve_labels("llp")
        >>> len(labels)
        25
    """
    found = find_label_set(spec)
    return found.name, found.labels


def find_label_set(spec: str | Path) -> LabelSet:
    """A label set from the name of a packaged one, or from a text file.

    A file's name without its ending is the set's name, with '_' for what a text set's name in a cache may not hold; a
    file equal to a packaged set is that set.

    Raises:
        ExtractError: no such set or file, or a file that cannot be used.
    """
    if str(spec) in label_set_names():
        return _packaged(str(spec))
    path = Path(spec)
    if not path.is_file() and not is_special(path):
        raise ExtractError(
            f"no label set {shortened(str(spec), 100)!r} ({', '.join(label_set_names())}) and no file of that name"
        )
    return label_set_of(read_labels(path), portable_name(path.stem))


def label_set_of(labels: list[str], otherwise: str) -> LabelSet:
    """The packaged set that has these labels, in this order; a set of the name ``otherwise`` where there is none."""
    for name in label_set_names():
        packaged = _packaged(name)
        if packaged.labels == labels:
            return packaged
    return LabelSet(otherwise, labels)

"""Label sets: by name from the package, or from a person's text file."""

from pathlib import Path

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
    labels: list[str] = []
    lines: dict[str, int] = {}
    for number, line in enumerate(found, 1):
        label = line.strip()
        if not label or label.startswith("#"):
            continue
        why = why_not_a_name(label)
        if why is not None:
            raise ExtractError(
                f"label file {path}, line {number}: '{escaped(shortened(label, 60))}' is no label: {why}; write another"
            )
        before = lines.setdefault(folded(label), number)
        if before != number:
            raise ExtractError(
                f"label file {path}, line {number}: {shortened(label, 60)!r} is on line {before} already: remove one"
            )
        labels.append(label)
    if len(labels) < 2:
        raise ExtractError(f"label file {path} has {len(labels)} label(s): at least 2, one a line, are needed")
    return labels


def resolve_labels(spec: str | Path) -> tuple[str, list[str]]:
    """A label set from the name of a packaged one, or from a text file.

    Returns:
        Its name and its labels. A file's name without its ending is the set's name, with '_' for what a
        text set's name in a cache may not hold; a file equal to a packaged set has that set's name.

    Raises:
        ExtractError: no such set or file, or a file that cannot be used.

    Example:
        >>> name, labels = resolve_labels("llp")
        >>> len(labels)
        25
    """
    if str(spec) in label_set_names():
        return str(spec), read_labels(_FOLDER / f"{spec}.txt")
    path = Path(spec)
    if not path.is_file() and not is_special(path):
        raise ExtractError(
            f"no label set {shortened(str(spec), 100)!r} ({', '.join(label_set_names())}) and no file of that name"
        )
    labels = read_labels(path)
    for name in label_set_names():
        if read_labels(_FOLDER / f"{name}.txt") == labels:
            return name, labels
    return portable_name(path.stem), labels

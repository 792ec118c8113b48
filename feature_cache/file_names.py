"""Names of files for clips, labels and whatever else has a name: legal on every system, different if the names are.

A text that is a plain file name already stays as it is. Of any other one, what no file name may hold becomes "_", what
is too long is cut, and a digest of the whole text follows, so that two texts never share a name.
"""

import hashlib
import re

MOST_BYTES = 255
"""Of a file's name, its ending included."""

_NOT_IN_NAMES = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f]')
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_DIGITS = 12


def file_name(text: str, ending: str = "") -> str:
    """The name of the file of a text.

    Args:
        text: a clip's id, for example.
        ending: of the file, with its dot.

    Example:
        >>> file_name("dog", ".tsv"), file_name("day 1/dog", ".tsv")
        ('dog.tsv', 'day 1_dog~828571d8cf3e.tsv')
    """
    room = MOST_BYTES - len(ending.encode())
    plain = _plain(text)
    if plain == text and len(text.encode("utf-8", "surrogatepass")) <= room:
        return text + ending
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_DIGITS // 2).hexdigest()
    room -= 1 + _DIGITS
    cut = plain.encode("utf-8", "replace")[:room].decode("utf-8", "ignore")
    return f"{cut}~{digest}{ending}"


def _plain(text: str) -> str:
    """The text without what no file name may hold, on any system."""
    found = _NOT_IN_NAMES.sub("_", text)
    if found.startswith(".") or not found:
        found = f"_{found[1:]}"
    if found[-1] in ". ":
        found = f"{found[:-1]}_"
    return f"_{found}" if _DEVICES.fullmatch(found) else found

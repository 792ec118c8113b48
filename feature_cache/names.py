"""Which text may name a clip or a label, how any text is shown, and when two names are the same.

Text in any script is a name, with the spaces, joiners and signs that it needs. Refused is only what would act on a
terminal or make a name look like another one, what is no text at all, and what is longer than MOST_CHARACTERS.
Names are stored as they were given, and compared in Unicode's composed form (NFC): macOS hands out decomposed file
names, most lists are composed.
"""

import difflib
import unicodedata
from collections.abc import Callable, Iterable

MOST_CHARACTERS = 1000
"""Of a clip's id, a label or a class; a file name has 255 bytes at most, an id may have folders before it."""

_BIDI = {*range(0x202A, 0x202F), *range(0x2066, 0x206A)}
_LINE_ENDS = {0x2028, 0x2029}
_BYTES = range(0xDC80, 0xDD00)
"""What Python puts for bytes of a file name that are not UTF-8."""


def why_not_a_name(text: str) -> str | None:
    """Why a text cannot be a clip's id or a label, as "it holds …"; None where it, :func:`escaped`, can."""
    if not text:
        return "it is empty"
    if len(text) > MOST_CHARACTERS:
        return f"it has {len(text):,} characters, {MOST_CHARACTERS:,} at most are allowed"
    if text.isprintable():  # then it is made of what may be in a name
        return None
    for char in _put_together(text):
        what = _refused(char)
        if what is not None:
            return what
    return None


def escaped(text: str, keep: str = "") -> str:
    r"""The text with ``\x1b``, ``\u202e``, … for every character that no name may hold.

    A readable stand-in for any text, legal if it is neither empty nor too long; text that is legal comes back as it
    is. A byte of a file name that is not UTF-8 becomes ``\xe9``; a name in UTF-8 that was read in a locale without
    UTF-8 becomes what it is.

    Args:
        text: the text.
        keep: characters to leave as they are.
    """
    if text.isprintable():
        return text
    text = _put_together(text)
    return "".join(char if char in keep or _refused(char) is None else _escape(char) for char in text)


def nearest(name: str, known: Iterable[str], most: int = 1) -> list[str]:
    """Names that were meant, perhaps: those that differ little from another, without regard to case, the best first.

    Args:
        name: what was given.
        known: what there is.
        most: how many come back.

    Example:
        >>> nearest("clipclap", ["clip_clap", "tiny"])
        ['clip_clap']
    """
    by_form = {each.lower(): each for each in known}
    return [by_form[form] for form in difflib.get_close_matches(name.lower(), by_form, n=most)]


def shortened(text: str, most: int) -> str:
    """The text, or its beginning and its end around an ellipsis, of at most so many characters.

    Args:
        text: the text.
        most: characters of what comes back, 3 at least.

    Example:
        >>> shortened("a very long name", 9)
        'a ve…name'
    """
    if len(text) <= most:
        return text
    end = (most - 1) // 2
    return f"{text[: most - 1 - end]}…{text[len(text) - end :]}"


def composed(text: str) -> str:
    """The text in NFC, in which names are compared."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def folded(text: str) -> str:
    """The text in NFC and without case, in which labels are compared."""
    return composed(unicodedata.normalize("NFD", text).casefold())


class Names:
    """Finds a name among others: an equal one first, else the one that is equal in another form."""

    def __init__(self, names: Iterable[str], form: Callable[[str], str] = composed) -> None:
        """The names to look among, and the form in which they are compared."""
        self._form = form
        self._exact = dict.fromkeys(names)
        self._like: dict[str, list[str]] = {}
        for name in self._exact:
            self._like.setdefault(form(name), []).append(name)

    def like(self, name: str) -> list[str]:
        """All names that it may be: the equal one alone, if there is one."""
        return [name] if name in self._exact else self._like.get(self._form(name), [])

    def find(self, name: str) -> str | None:
        """The name that it is; None where none is like it, or several are."""
        found = self.like(name)
        return found[0] if len(found) == 1 else None


def _put_together(text: str) -> str:
    """File names read in a locale without UTF-8 hold their bytes one by one."""
    if not any(0xD800 <= ord(char) < 0xE000 for char in text):
        return text
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8")
    except UnicodeError:
        return text


def _refused(char: str) -> str | None:
    code = ord(char)
    if code in _BIDI:
        return f"it holds U+{code:04X}, which turns the direction of the text around it"
    category = unicodedata.category(char)
    if category == "Cc" or code in _LINE_ENDS:
        return f"it holds the control character U+{code:04X}"
    if category == "Cs":
        byte = f" (byte 0x{code - 0xDC00:02X})" if code in _BYTES else f" (half a character, U+{code:04X})"
        return f"it is not UTF-8{byte}"
    return None


def _escape(char: str) -> str:
    code = ord(char)
    if code in _BYTES:
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}"

"""The errors of this package; their message is one line for the user."""

from pathlib import Path

from feature_cache.errors import Av2aError
from feature_cache.names import escaped


class ExtractError(Av2aError):
    """Extraction cannot start or go on: wrong options, missing weights, nothing to read."""


class MediaError(ExtractError):
    """One file cannot be used.

    Attributes:
        path: the file.
        reason: what is wrong with it and what would mend it, without the file's name.
    """

    def __init__(self, path: Path, reason: str) -> None:
        """Keep the parts; the message is "name: reason"."""
        super().__init__(f"{escaped(path.name)}: {reason}")
        self.path = path
        self.reason = reason

"""What a format of events is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Facts = Mapping[str, Any]
"""Events as :meth:`score.Events.to_dict` gives them: facts by name, and a record each under "events"."""


@dataclass(frozen=True)
class Format:
    """A file format of events.

    Attributes:
        name: as people write it; files that end so are of this format.
        write: from events and the path that a person named to the texts of files.
        read: the inverse, from a file; None where not all of it is written.
    """

    name: str
    write: Callable[[Facts, Path], dict[Path, str]]
    read: Callable[[Path], dict[str, Any]] | None = None

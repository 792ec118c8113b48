"""What the page leaves on the disk: settings, and events in any format, in one folder, and nothing else over others."""

import threading
from pathlib import Path
from typing import Any

from feature_cache.names import why_not_a_name
from feature_cache.storage.atomic import write_outputs
from score.errors import ScoreError
from score.formats import FORMATS, outputs_of
from score.parameters import Parameters
from score.scoring import score_blocks
from score.settings import to_toml
from score.view.desk import Desk

_MOST_NAME = 120


class ThereAlreadyError(ScoreError):
    """A file is in the way that was not written from here."""


class Saving:
    """Files that are written from the page.

    Attributes:
        settings_file: where settings are saved.
    """

    def __init__(self, desk: Desk, settings_file: Path) -> None:
        """Nothing is written yet."""
        self._desk, self.settings_file = desk, settings_file
        self._own: set[Path] = set()
        self._lock = threading.Lock()

    def save(self, config: Parameters, *, overwrite: bool) -> str:
        """Write a setting, as ``settings_for(cache, file)`` reads it; returns the file's name.

        Raises:
            ThereAlreadyError: a file is there that was not written from here, and ``overwrite`` is not set.
            OSError: it cannot be written.
        """
        with self._lock:
            self._check(self.settings_file, overwrite)
            comments = [f"settings for {self._desk.opened.cache.path}, chosen by eye and ear"]
            write_outputs({self.settings_file: to_toml(config, comments)})
            self._own.add(self.settings_file)
        return str(self.settings_file)

    def events(
        self, config: Parameters, text: str | None, name: str, format: str | None, *, overwrite: bool
    ) -> tuple[list[str], int]:
        """Write the events of all clips beside the settings; returns the names written and the number of events.

        Args:
            config: the setting.
            text: name of the label set.
            name: of the file, or of the folder of formats of a file a clip; no path.
            format: of ``score.formats.FORMATS``; None: by the name's ending.
            overwrite: replace what is there.

        Raises:
            ThereAlreadyError: as :meth:`save`.
            ScoreError: the name is a path, or no such format.
            OSError: it cannot be written.
        """
        if why_not_a_name(name) or len(name) > _MOST_NAME or Path(name).name != name or name.startswith("."):
            raise ScoreError("a file's name is expected, without a folder, such as events.json")
        path = self.settings_file.parent / name
        if path == self.settings_file:
            raise ScoreError(f"{name} is where settings are saved: choose another name")
        outputs = outputs_of(path, format)
        with self._lock:
            for output in outputs:
                self._check(output, overwrite)
            found = score_blocks(self._desk.opened.cache, config, self._desk.opened.text(text).name)
            written = found.write(path, format)
            self._own.update(outputs)
        return [Path(each).name for each in written], int(found.counts.sum())

    def _check(self, path: Path, overwrite: bool) -> None:
        if path.exists() and path not in self._own and not overwrite:
            raise ThereAlreadyError(f"{path} is there already: choose another name, or replace it")


def formats() -> list[dict[str, Any]]:
    """Formats of events, JSON-able."""
    return [{"name": name, "ending": each.ending} for name, each in FORMATS.items()]

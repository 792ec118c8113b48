"""What is told of work in the background: facts that change one after the other, and are read all at once."""

import threading
from typing import Any


class Told:
    """Facts by name, JSON-able; notes and reads may come from any thread.

    Example:
        >>> told = Told(running=False)
        >>> told.note(running=True, tried=3)
        >>> told.now
        {'running': True, 'tried': 3}
    """

    def __init__(self, **facts: Any) -> None:
        """What is told at first."""
        self._facts, self._lock = facts, threading.Lock()

    def note(self, **changes: Any) -> None:
        """Tell something else from now on."""
        with self._lock:
            self._facts |= changes

    @property
    def now(self) -> dict[str, Any]:
        """A copy of all that is told."""
        with self._lock:
            return dict(self._facts)

"""Which request of a page is the newest."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from functools import partial


class Newest:
    """Which request of a page is the newest, by channel: what it has overtaken need not be answered."""

    _MOST = 1000

    def __init__(self) -> None:
        """No request yet."""
        self._newest: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._lock = threading.Lock()

    def note(self, page: str, channel: str, seq: int) -> Callable[[], bool]:
        """Take a request; what says whether a newer one has come since."""
        key = page, channel
        with self._lock:
            self._newest[key] = max(seq, self._newest.pop(key, seq))
            while len(self._newest) > self._MOST:
                self._newest.popitem(last=False)
        return partial(self._overtaken, key, seq)

    def _overtaken(self, key: tuple[str, str], seq: int) -> bool:
        with self._lock:
            return self._newest.get(key, seq) > seq

"""What nobody expected: a line on the terminal, so that the rest goes on."""

import sys
from contextlib import suppress

from feature_cache.names import escaped, shortened

_MOST = 500


def say_unexpected(where: str, error: BaseException) -> None:
    """One line on standard error, if anybody reads it.

    Args:
        where: it happened.
        error: what did.
    """
    line = " ".join(f"{where}: {type(error).__name__}: {error}".split())
    with suppress(OSError, ValueError):
        print(escaped(shortened(line, _MOST)), file=sys.stderr, flush=True)

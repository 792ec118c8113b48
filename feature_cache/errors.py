"""The error at the root of all of av2a's, and the one of this package."""


class Av2aError(Exception):
    """What av2a cannot do, and why; the message is one line for a person, and ends in what to do."""


class CacheError(Av2aError):
    """A feature cache that cannot be made, read or written; the message is one line for the user."""


DAMAGE = (ValueError, KeyError, RuntimeError, TypeError, IndexError, AttributeError, MemoryError)
"""What Zarr and codecs raise when they are given damaged bytes."""

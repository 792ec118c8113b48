"""The one error of this package."""


class CacheError(Exception):
    """A feature cache that cannot be made, read or written; the message is one line for the user."""

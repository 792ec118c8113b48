"""Errors of stage 2; each message is one line for the user."""

from feature_cache.errors import Av2aError


class ScoreError(Av2aError):
    """A setting, an events file or a request that cannot be served."""


class AnnotationError(ScoreError):
    """An annotation file that cannot be read, or that does not fit the events."""

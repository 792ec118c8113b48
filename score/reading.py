"""How predictions are read where they are measured, and what is summed over clips then (docs/design.md 4.8)."""

from typing import NamedTuple


class Reading(NamedTuple):
    """A way to read predictions.

    Attributes:
        code: of ``score.choices.READINGS``.
        groups: G, parts of a split with sums of their own.
    """

    code: int
    groups: int = 1

    @property
    def columns(self) -> int:
        """K, the sums of a clip.

        By labels: F1 of segments visual, audio, audiovisual, Event@AV, then of events likewise. By the first event: its
        accuracy, and that of one label a segment, added up over a clip's rows. By one label a segment: accuracy, F1 of
        segments and F1 of events, for each group.
        """
        return (8, 2, 3 * self.groups)[self.code]

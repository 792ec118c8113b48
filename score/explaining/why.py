"""What an explanation is, and what all rules' explanations are made by."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_cache import NO_PICTURE, FeatureCache, Features, TextSet
from score.checks import check_segments, check_text
from score.choices import STREAMS
from score.errors import ScoreError
from score.explaining.words import Clock, both_at_once, stands_in
from score.logits import Logits
from score.rules.base import Makes

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class StreamWhy:
    """Why one stream of one clip has events of one label, or none.

    Attributes:
        value: float64 (T,), what is compared in each segment; NaN where nothing is, as the label is not in play.
        limit: float64 (T,), what it has to exceed; NaN likewise.
        on: bool (T,), segments in events of that label and stream.
        steps: plain sentences, in the order of what the rule does; the last one says which events there are.

    Example:
        >>> why.streams["audio"].steps[-1]
        'event: 2 s to 5 s'
    """

    value: Floats
    limit: Floats
    on: NDArray[np.bool_]
    steps: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Why:
    """Why a clip has events of a label, or none.

    Attributes:
        clip: its name.
        label: as the user wrote it.
        unit: what values and limits are: "probability", "cosine" or "weight".
        streams: by name, in the order of ``STREAMS``.

    Example:
        >>> why.streams["visual"].on.any()
        True
    """

    clip: str
    label: str
    unit: str
    streams: dict[str, StreamWhy]


class Explainer:
    """One setting and one label set, ready to explain clips one at a time (:class:`score.rules.base.Explains`).

    A rule's own says what is compared (``unit``) and gives the streams (:meth:`streams_of`).
    """

    unit = "probability"

    def __init__(self, config: Any, text: TextSet, cache: FeatureCache, inputs: Makes) -> None:
        """Prepare.

        Args:
            config: the setting as it applies to the cache.
            text: the label set.
            cache: the cache.
            inputs: what the rule compares clips by.

        Raises:
            ScoreError: the label set or the cache does not do, or what is known of labels runs on over a file's clips.
        """
        if getattr(config, "carry", False):
            raise ScoreError("explanations are of clips on their own: leave out `carry=True`")
        check_segments(cache.segments)
        check_text(text)
        self.config, self.text, self.cache = config, text, cache
        self.clock = Clock(cache.segments, float(cache.segment_seconds))
        self._inputs = inputs

    def explain(self, features: Features, label: int) -> Why:
        """Why there are events of a label in a clip, or none.

        Args:
            features: of one clip of the cache.
            label: its number.

        Raises:
            ScoreError: there are more clips or none, no such label, or what does not fit the label set.
        """
        if len(features) != 1:
            raise ScoreError(f"features of {len(features)} clips, expected one")
        if not 0 <= label < len(self.text.labels):
            raise ScoreError(f"label {label}: there are {len(self.text.labels)}, from 0")
        streams = self.streams_of(features, self._inputs(features), label)
        return Why(self.cache.clip_ids[int(features.rows[0])], self.text.labels[label], self.unit, streams)

    def streams_of(self, features: Features, batch: Logits, label: int) -> dict[str, StreamWhy]:
        """Each stream's, in the order of ``STREAMS``.

        Args:
            features: of one clip.
            batch: what the rule compares it by.
            label: its number.
        """
        raise NotImplementedError

    def with_both(
        self, missing: int, found: dict[str, StreamWhy], early: Callable[[], StreamWhy]
    ) -> dict[str, StreamWhy]:
        """All three streams in the order of ``STREAMS``, from those of picture and sound.

        Args:
            missing: what the clip does not have; the other one stands in.
            found: of picture and sound.
            early: makes the audiovisual one of early fusion.
        """
        if missing:
            both = standing_in(missing, found)
        elif self.config.fusion == "late":
            both = late_fusion(self.clock, found["visual"], found["audio"])
        else:
            both = early()
        return in_order({**found, "audiovisual": both})


def nothing(clock: Clock, *steps: str) -> StreamWhy:
    """Of a stream that compares nothing of a label: why, and that there is no event."""
    none, off = np.full(clock.segments, np.nan), np.zeros(clock.segments, bool)
    return StreamWhy(none, none, off, (*steps, clock.events(off.tolist())))


def standing_in(missing: int, found: dict[str, StreamWhy]) -> StreamWhy:
    """The audiovisual stream of a clip without picture or sound: that of what is there."""
    there = found["audio" if missing & NO_PICTURE else "visual"]
    return replace(there, steps=(stands_in(missing), *there.steps))


def late_fusion(clock: Clock, visual: StreamWhy, audio: StreamWhy) -> StreamWhy:
    """The audiovisual stream of late fusion: both at once; value and limit are those of what has less to spare."""
    on = visual.on & audio.on
    spare = np.array([each.value - each.limit for each in (visual, audio)])
    tighter = (spare[1] < spare[0]).astype(int)
    value, limit = (
        np.choose(tighter, [getattr(each, name) for each in (visual, audio)]) for name in ("value", "limit")
    )
    known = ~np.isnan(spare).any(axis=0)
    return StreamWhy(
        np.where(known, value, np.nan),
        np.where(known, limit, np.nan),
        on,
        (*both_at_once(clock, visual.on.tolist(), audio.on.tolist()), clock.events(on.tolist())),
    )


def in_order(found: dict[str, StreamWhy]) -> dict[str, StreamWhy]:
    """By stream, in the order of ``STREAMS``."""
    return {stream: found[stream] for stream in STREAMS}

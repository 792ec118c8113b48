"""Why the threshold rule has an event or none: values, the threshold, what smooths them in time."""

import numpy as np
from numpy.typing import NDArray

from feature_cache import NO_PICTURE, NO_SOUND, FeatureCache, Features, TextSet
from score.explaining.why import Explainer, StreamWhy, nothing
from score.explaining.words import (
    ONE_SOUND,
    above,
    figure,
    lacks,
    median_steps,
    mixed,
    penalty_steps,
    run_rule_steps,
)
from score.kernels.threshold import NEVER_ON
from score.logits import Logits
from score.reference.runs import Segments
from score.reference.threshold import decode_streams
from score.rule_parameters import ThresholdConfig
from score.rules.base import Makes

Floats = NDArray[np.float64]


class ThresholdExplainer(Explainer):
    """The threshold rule's explanations."""

    config: ThresholdConfig

    def __init__(self, config: ThresholdConfig, text: TextSet, cache: FeatureCache, inputs: Makes) -> None:
        """As :class:`Explainer`."""
        super().__init__(config, text, cache, inputs)
        self.unit = config.compared

    def streams_of(self, features: Features, batch: Logits, label: int) -> dict[str, StreamWhy]:
        """As :meth:`Explainer.streams_of`."""
        missing, rows = int(batch.missing[0]), batch.image[0][:, [label]]
        values: dict[str, Floats] = {}
        if not missing & NO_PICTURE:
            values["visual"] = rows
        if not missing & NO_SOUND:
            values["audio"] = np.broadcast_to(batch.sound[0][:, [label]], rows.shape)
        known = {stream: each[:, 0] > NEVER_ON for stream, each in values.items()}
        paths = decode_streams(values, self.config)  # puts what is audiovisual beside them
        found = {}
        for stream in ("visual", "audio"):
            why_not = lacks(missing, stream)
            first = [ONE_SOUND] if stream == "audio" and len(batch.sound[0]) == 1 else []
            found[stream] = (
                nothing(self.clock, why_not)
                if why_not is not None
                else self._stream(values[stream][:, 0], known[stream], paths[stream][0], first)
            )

        def early() -> StreamWhy:
            alpha = self.config.alpha
            there = (known["visual"] | (alpha == 1.0)) & (known["audio"] | (alpha == 0.0))
            both = values["audiovisual"][:, 0], there, paths["audiovisual"][0]
            return self._stream(*both, [mixed(alpha)])

        return self.with_both(missing, found, early)

    def _stream(self, values: Floats, known: NDArray[np.bool_], path: Segments, steps: list[str]) -> StreamWhy:
        """One that is decoded; ``known``: segments whose rows have a spread, and so a value."""
        config, clock = self.config, self.clock
        value = np.where(known, values, np.nan)
        limit = np.full(len(values), config.threshold)
        margins = (values - config.threshold).tolist()
        over = [margin > 0 for margin in margins]
        steps = [*steps, above(clock, f"threshold {figure(config.threshold)}", value.tolist(), limit.tolist(), over)]
        if config.smoothing == "penalty":
            steps += penalty_steps(clock, margins, path, config.run_penalty)
        elif config.smoothing == "median":
            steps += median_steps(clock, over, path, config.median)
        elif config.smoothing == "runs":
            steps += run_rule_steps(clock, over, path)
        return StreamWhy(value, limit, np.array(path, bool), (*steps, clock.events(path)))

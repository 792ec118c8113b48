"""Why the exchange rule has an event or none: cosines, half of each label's own cost, the penalty of a run."""

import numpy as np
from numpy.typing import NDArray

from feature_cache import FeatureCache, Features, TextSet
from score.cosines import gram_matrices
from score.explaining.why import Explainer, StreamWhy, nothing
from score.explaining.words import ONE_SOUND, above, figure, figures, lacks, mixed, penalty_steps
from score.logits import Logits
from score.reference.exchange import ClipCosines, Compared, compared, decode_margins
from score.reference.runs import Segments
from score.rule_parameters import ExchangeConfig
from score.rules.base import Makes

Floats = NDArray[np.float64]


class ExchangeExplainer(Explainer):
    """The exchange rule's explanations."""

    unit = "cosine"
    config: ExchangeConfig

    def __init__(self, config: ExchangeConfig, text: TextSet, cache: FeatureCache, inputs: Makes) -> None:
        """As :class:`Explainer`."""
        super().__init__(config, text, cache, inputs)
        self._grams = gram_matrices(config, text, cache)

    def streams_of(self, features: Features, batch: Logits, label: int) -> dict[str, StreamWhy]:
        """As :meth:`Explainer.streams_of`."""
        missing = int(batch.missing[0])
        sides = compared(ClipCosines(batch.image[0], batch.sound[0], *self._grams, missing), self.config)
        margins = {stream: (each.cosine - 0.5 * each.cost)[:, [label]] for stream, each in sides.items()}
        paths = decode_margins(margins, self.config)  # puts what is audiovisual beside them
        found = {}
        for stream in ("visual", "audio"):
            why_not = lacks(missing, stream)
            if why_not is not None:
                found[stream] = nothing(self.clock, why_not)
                continue
            steps = [ONE_SOUND] if stream == "audio" and len(batch.sound[0]) == 1 else []
            steps.append(self._cost(stream, sides[stream], label, missing))
            value = sides[stream].cosine[:, label]
            limit = np.full(len(value), 0.5 * sides[stream].cost[label])
            found[stream] = self._stream(value, limit, margins[stream], paths[stream][0], steps)

        def early() -> StreamWhy:
            alpha = self.config.alpha
            value, limit = (
                alpha * getattr(found["audio"], name) + (1.0 - alpha) * getattr(found["visual"], name)
                for name in ("value", "limit")
            )
            both = margins["audiovisual"], paths["audiovisual"][0]
            return self._stream(value, limit, *both, [mixed(alpha)])

        return self.with_both(missing, found, early)

    def _cost(self, stream: str, side: Compared, label: int, missing: int) -> str:
        """What the label costs, and why."""
        cost, usual = figures(float(side.cost[label]), self.config.cost)
        if self.config.eta == 0:
            return f"its limit is half its cost of {cost}: nothing is exchanged, as eta is 0"
        if missing:
            lost = "sound" if stream == "visual" else "picture"
            return f"its limit is half its cost of {cost}: there is no {lost} that gives anything to it"
        heard = "heard" if stream == "visual" else "seen"
        given = figure(float(side.given[label]))
        return f"its limit is half its cost of {cost} (labels' mean: {usual}): what is {heard} gives it {given}"

    def _stream(self, value: Floats, limit: Floats, margins: Floats, path: Segments, steps: list[str]) -> StreamWhy:
        """One that is decoded, from margins (T, 1)."""
        each = margins[:, 0].tolist()
        over = [margin > 0 for margin in each]
        told = above(self.clock, f"limit {figure(float(limit[0]))}", value.tolist(), limit.tolist(), over)
        told_runs = penalty_steps(self.clock, each, path, self.config.run_penalty)
        return StreamWhy(value, limit, np.array(path, bool), (*steps, told, *told_runs, self.clock.events(path)))

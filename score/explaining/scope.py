"""Why SCoPE's rule has an event or none: costs, weights, the largest gap, the rule of time."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from feature_cache import FeatureCache, Features, TextSet
from score.bitmasks import unpacked
from score.choices import AUDIO, AUDIOVISUAL, KERNEL_STREAMS, VISUAL
from score.explaining.why import Explainer, StreamWhy, in_order, nothing, standing_in
from score.explaining.words import ONE_SOUND, above, figure, figures, lacks, quoted, run_rule_steps
from score.kernels.scope import KEPT, ScopeWorkspace
from score.logits import Logits
from score.reference.scope import above_largest_gap, exchanged_costs
from score.rule_parameters import ScopeConfig
from score.rules.base import Makes

Floats = NDArray[np.float64]
_MOST_NAMED = 3


class ScopeExplainer(Explainer):
    """SCoPE's explanations, from the weights that its kernel leaves in its workspace."""

    unit = "weight"
    config: ScopeConfig

    def __init__(
        self,
        config: ScopeConfig,
        text: TextSet,
        cache: FeatureCache,
        inputs: Makes,
        run: Callable[[Logits], tuple[NDArray[np.uint64], ScopeWorkspace]],
    ) -> None:
        """As :class:`Explainer`; ``run`` says which segments of a clip are on, and what the kernel left."""
        super().__init__(config, text, cache, inputs)
        self._run = run

    def streams_of(self, features: Features, batch: Logits, label: int) -> dict[str, StreamWhy]:
        """As :meth:`Explainer.streams_of`."""
        words, workspace = self._run(batch)
        on, missing = unpacked(words[0], self.clock.segments), int(batch.missing[0])
        places = {VISUAL: int(workspace.counts[2]), AUDIO: KEPT, AUDIOVISUAL: KEPT + 1}  # as the kernel has them
        found = {}
        for number, stream in enumerate(KERNEL_STREAMS):
            why_not = lacks(missing, stream)
            if why_not is not None:
                found[stream] = nothing(self.clock, why_not)
                continue
            if number == AUDIOVISUAL and missing:
                found[stream] = standing_in(missing, found)
                continue
            if number == AUDIOVISUAL:
                shares = figure(1 - self.config.alpha), figure(self.config.alpha)
                steps = [f"where both exceed the support: {shares[0]} of the weight seen, {shares[1]} of that heard"]
            else:
                steps = [ONE_SOUND] if number == AUDIO and len(batch.sound[0]) == 1 else []
                steps.append(self._cost(number, workspace, label, missing))
            weight = self._weights(workspace, places[number])
            found[stream] = self._stream(weight, on[number, :, label], label, steps)
        return in_order(found)

    def _weights(self, workspace: ScopeWorkspace, place: int) -> Floats:
        """Those in a place, (T, C)."""
        rows, size, label, value = workspace.weights
        found = np.zeros((self.clock.segments, len(self.text.labels)))
        for t in range(len(found)):
            r = t if rows[place] > 1 else 0
            count = size[place, r]
            found[t, label[place, r, :count]] = value[place, r, :count]
        return found

    def _cost(self, side: int, workspace: ScopeWorkspace, label: int, missing: int) -> str:
        """What the label costs in picture or sound, and why."""
        config, other = self.config, AUDIO if side == VISUAL else VISUAL
        eta = config.eta_audio_to_visual if side == VISUAL else config.eta_visual_to_audio
        if missing or eta == 0:
            lost = "sound" if side == VISUAL else "picture"
            why = f"there is no {lost} that gives anything to it" if missing else "nothing is exchanged, as eta is 0"
            return f"its cost is {figure(config.cost)}: {why}"
        given = workspace.given[other, : workspace.given_rows[other]]
        cost = exchanged_costs(given, config.cost, eta, config.exchange_form)[:, label]
        heard = "heard" if side == VISUAL else "seen"
        gives, costs = (_range(each) for each in (given[:, label], cost))
        return f"its cost is {costs} (labels' mean: {figure(config.cost)}): what is {heard} gives it {gives}"

    def _stream(self, weight: Floats, on: NDArray[np.bool_], label: int, steps: list[str]) -> StreamWhy:
        """One whose weights compete, (T, C)."""
        config, clock = self.config, self.clock
        over = above_largest_gap(weight, config.support)
        limit = np.where(over, 0.0, weight).max(axis=1, initial=config.support)
        value, chosen = weight[:, label], over[:, label].tolist()
        some = (value > config.support).tolist()
        support = np.full(len(value), config.support).tolist()
        what, gap = f"support {figure(config.support)}", "largest gap between weights"
        if any(some) and some == chosen:
            steps = [*steps, above(clock, f"{what} and the {gap}", value.tolist(), limit.tolist(), chosen)]
        else:
            steps = [*steps, above(clock, what, value.tolist(), support, some)]
            steps += [above(clock, gap, value.tolist(), limit.tolist(), chosen)] if any(some) else []
        behind = [has and not wins for has, wins in zip(some, chosen, strict=True)]
        if any(behind):
            winners = np.flatnonzero(over[behind].any(axis=0)).tolist()
            names = ", ".join(quoted(self.text.labels[c]) for c in winners[:_MOST_NAMED])
            names += f" and {len(winners) - _MOST_NAMED} more" if len(winners) > _MOST_NAMED else ""
            steps.append(f"below the gap: {clock.spans(behind)}, behind {names}")
        path = on.tolist()
        return StreamWhy(value, limit, on, (*steps, *run_rule_steps(clock, chosen, path), clock.events(path)))


def _range(values: Floats) -> str:
    least, most = figures(float(values.min()), float(values.max()))
    return least if least == most else f"{least} to {most}"

"""Why AV²A's rule has an event or none: label selection, dynamic thresholds, candidates, refinement, fusion."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from feature_cache import FeatureCache, Features, TextSet
from score.bitmasks import unpacked
from score.choices import JOINT, STREAMS
from score.config import ScoreConfig
from score.explaining.why import Explainer, StreamWhy, in_order, late_fusion, nothing, standing_in
from score.explaining.words import (
    ONE_SOUND,
    above,
    at_once,
    figure,
    figures,
    lacks,
    mixed,
    quoted,
    run_rule_steps,
    selection,
    stands_in,
)
from score.kernels.tracer import Tracer
from score.logits import Logits
from score.reference.runs import Segments
from score.reference.scoring import (
    ClipLogits,
    Span,
    candidate_windows,
    candidates,
    holds,
    own_probability,
    refine,
    select_labels,
    standing_clip,
    standing_stream,
    whole_probability,
)
from score.rules.base import Makes, Traced

Floats = NDArray[np.float64]


class AV2AExplainer(Explainer):
    """AV²A's explanations: probabilities and thresholds as they are traced, decisions by the plain reading."""

    config: ScoreConfig

    def __init__(self, config: ScoreConfig, text: TextSet, cache: FeatureCache, inputs: Makes) -> None:
        """As :class:`Explainer`."""
        super().__init__(config, text, cache, inputs)
        self._tracer = Tracer(config, text, cache.segments)

    def streams_of(self, features: Features, batch: Logits, label: int) -> dict[str, StreamWhy]:
        """As :meth:`Explainer.streams_of`."""
        clip, traced = ClipLogits.of(batch, 0), self._tracer.trace(features)
        found = {stream: self._stream(clip, traced, stream, label) for stream in ("visual", "audio")}
        if self.config.fusion != "late":
            found["audiovisual"] = self._stream(clip, traced, "audiovisual", label)
        elif clip.missing:
            found["audiovisual"] = standing_in(clip.missing, found)
        else:
            found["audiovisual"] = late_fusion(self.clock, found["visual"], found["audio"])
        return in_order(found)

    def _stream(self, clip: ClipLogits, traced: Traced, stream: str, label: int) -> StreamWhy:
        """One that is parsed (docs/design.md 4.2 to 4.6)."""
        clock, standing = self.clock, standing_stream(clip.missing, stream)
        if standing is None:
            return nothing(clock, lacks(clip.missing, stream) or "")
        steps = [] if standing == stream else [stands_in(clip.missing)]
        if standing == "audiovisual":
            steps.append(at_once() if self.config.audiovisual == JOINT else mixed(self.config.alpha))
        clip, standing = standing_clip(clip, standing, self.config)
        steps += [ONE_SOUND] if standing == "audio" and clip.sound is None else []
        kept = select_labels(clip, standing, self.config)
        steps.append(self._selection(clip, standing, label, label in kept))
        least = 1 if clip.given else 2
        if label not in kept:
            return nothing(clock, *steps)
        if len(kept) < least:
            return nothing(clock, *steps, "not compared: it is the only label that is kept, two are needed")
        at = STREAMS.index(stream)
        value, limit = traced.probability[0, at, :, label], traced.threshold[0, at, :, label]
        positive = unpacked(traced.positive[0, at], clock.segments)
        steps += [
            self._thresholds(limit),
            above(clock, "threshold", *_lists(value, limit), positive[:, label].tolist()),
        ]
        found = candidates(positive[:, kept])
        own = [i for i, (k, _, _) in enumerate(found) if kept[k] == label]
        steps += run_rule_steps(clock, positive[:, label].tolist(), self._path(found, own))
        stay, more = self._refined(clip, standing, found, own, kept)
        path = self._path(found, stay)
        return StreamWhy(value, limit, np.array(path, bool), (*steps, *more, clock.events(path)))

    def _path(self, found: Sequence[Span], some: Sequence[int]) -> Segments:
        """Segments of some candidates."""
        path = [False] * self.clock.segments
        for i in some:
            _, start, end = found[i]
            path[start:end] = [True] * (end - start)
        return path

    def _selection(self, clip: ClipLogits, stream: str, label: int, kept: bool) -> str:
        """4.2: whether the label is in play."""
        if not self.config.label_selection:
            return "kept: labels are not selected"
        whole = float(whole_probability(clip, stream, self.config.alpha)[label])
        windows = (stream == "audio" or len(clip.video)) and (stream == "visual" or len(clip.audio))
        what = "whole-clip probability" if windows else "mean probability of the segments"
        return selection(kept, what, whole, self.config.filter_threshold)

    def _thresholds(self, limit: Floats) -> str:
        """4.4: how the threshold moves."""
        method, passes = self.config.method, self.config.label_shift_iters
        if method == "naive":
            return f"threshold: {figure(self.config.threshold_stage1)} in every segment"
        known = np.flatnonzero(~np.isnan(limit))
        last = int(known[-1]) if len(known) else 0
        first, end = figures(float(limit[0]), float(limit[last]))
        how = f"label shift {method}" + (f", {passes} passes" if passes > 1 else "")
        ends = "" if last == len(limit) - 1 else f"; none from {self.clock.at(last + 1)} on, after equal logits"
        return f"threshold: {first} at {self.clock.at(0)}, {end} at {self.clock.at(last)} ({how}){ends}"

    def _refined(
        self, clip: ClipLogits, stream: str, found: list[Span], own: list[int], kept: list[int]
    ) -> tuple[list[int], list[str]]:
        """4.6: which of the label's candidates stay, and why."""
        if not own:
            return [], []
        if not self.config.refinement:
            return own, ["candidates stay: there is no refinement"]
        if len(found) == 1:
            return own, ["it is the only candidate of the stream, so that nothing is refined: stays"]
        windows = candidate_windows(clip, stream, self.config, found, kept)
        stay = refine(found, windows, self.config)
        good = [holds(span, window, self.config) for span, window in zip(found, windows, strict=True)]
        steps = []
        for i in own:
            ends = ": stays" if good[i] else ": dropped" if any(good) else ""
            judged = self._judged(found[i], windows[i], kept)
            steps.append(f"candidate {self.clock.span(*found[i][1:])}: {judged}{ends}")
        if not any(good):
            [best] = stay
            span = self.clock.span(*found[best][1:])
            value = figure(own_probability(found[best], windows[best]))
            whose = "" if best in own else f"of {quoted(self.text.labels[kept[found[best][0]]])}, "
            steps.append(
                f"no candidate of the stream is enough: the best one stays, {whose}{span}, probability {value}"
            )
        return [i for i in stay if i in own], steps

    def _judged(self, span: Span, window: Floats, kept: Sequence[int]) -> str:
        """What a candidate's window says of it."""
        what = "its segments' mean probability" if self.config.pooled_windows else "its window's probability"
        if np.isnan(window).any():
            return "its window's logits are all equal, which counts as 0"
        own = own_probability(span, window)
        if self.config.decision == "threshold":
            value, least = figures(own, self.config.threshold_stage2)
            verb = "exceeds" if own > self.config.threshold_stage2 else "does not exceed"
            return f"{what} {value} {verb} stage-2 threshold {least}"
        best = int(np.argmax(window))
        if best == span[0]:
            return f"{what} {figure(own)} is the largest of all labels"
        value, most = figures(own, float(window[best]))
        return f"{what} {value} is less than that of {quoted(self.text.labels[kept[best]])}, {most}"


def _lists(value: Floats, limit: Floats) -> tuple[list[float], list[float]]:
    return value.tolist(), limit.tolist()

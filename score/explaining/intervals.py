"""Why the intervals rule has an event or none: the windows that are taken, and the best one that is not."""

import numpy as np
from numpy.typing import NDArray

from feature_cache import Features, windows
from score.explaining.why import Explainer, StreamWhy, nothing
from score.explaining.words import figure, figures, lacks, mixed, selection
from score.logits import Logits
from score.reference.intervals import best_windows, whole_clip, window_table
from score.rule_parameters import IntervalsConfig

Floats = NDArray[np.float64]


class IntervalsExplainer(Explainer):
    """The intervals rule's explanations."""

    config: IntervalsConfig

    def streams_of(self, features: Features, batch: Logits, label: int) -> dict[str, StreamWhy]:
        """As :meth:`Explainer.streams_of`."""
        missing, logits = int(batch.missing[0]), (batch.video[0], batch.audio[0])
        found = {}
        for stream in ("visual", "audio"):
            why_not = lacks(missing, stream)
            found[stream] = self._stream(stream, *logits, label) if why_not is None else nothing(self.clock, why_not)
        return self.with_both(missing, found, lambda: self._stream("audiovisual", *logits, label))

    def _stream(self, stream: str, video: Floats, audio: Floats, label: int) -> StreamWhy:
        """One whose windows are compared."""
        config, clock = self.config, self.clock
        steps = [mixed(config.alpha)] if stream == "audiovisual" else []
        whole = float(whole_clip(stream, video, audio, config)[label])
        kept = whole > config.filter_threshold
        steps.append(selection(kept, "whole-clip probability", whole, config.filter_threshold))
        if not kept:
            return nothing(clock, *steps)
        p = window_table(stream, video, audio, config)[:, label]
        if np.isnan(p).all():
            return nothing(clock, *steps, "no window has a probability: fewer than two labels, or rows without spread")
        value, on, more = self._taken(p)
        limit = np.where(np.isnan(value), np.nan, config.threshold)
        return StreamWhy(value, limit, on, (*steps, *more, clock.events(on.tolist())))

    def _taken(self, p: Floats) -> tuple[Floats, NDArray[np.bool_], list[str]]:
        """Values of segments, which of them are on, and steps, from the probabilities of windows."""
        config, segments = self.config, self.clock.segments
        start, end = np.array(windows(segments)).T
        gain = (end - start) * (p - config.threshold) - config.window_penalty
        order = np.where(np.isnan(gain), -np.inf, gain)
        value, on, steps = np.full(segments, np.nan), np.zeros(segments, bool), list[str]()
        for t in range(segments):
            over = np.where((start <= t) & (t < end), order, -np.inf)
            best = int(np.argmax(over))
            value[t] = p[best] if over[best] > -np.inf else np.nan
        for first, last, each in best_windows(p.tolist(), segments, config.threshold, config.window_penalty):
            value[first:last], on[first:last] = each, True
            steps.append(f"{self._window(first, last, each)}: taken")
        covered = np.concatenate([[0], np.cumsum(on)])
        free = np.where(covered[end] == covered[start], order, -np.inf)
        best = int(np.argmax(free))
        if free[best] > -np.inf:
            what = "best window of the others" if on.any() else "best window"
            told = self._window(int(start[best]), int(end[best]), float(p[best]))
            steps.append(f"{what}, {told}: not worth it")
        return value, on, steps

    def _window(self, start: int, end: int, p: float) -> str:
        config = self.config
        gain = figure((end - start) * (p - config.threshold) - config.window_penalty)
        told, threshold = figures(p, config.threshold)
        less = f" - {figure(config.window_penalty)}" if config.window_penalty else ""
        pays = f"{end - start} × ({told} - {threshold}){less} = {gain}"
        return f"{self.clock.span(start, end)}, probability {told}: gains {pays}"

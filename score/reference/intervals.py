"""The intervals rule in plain Python on window probabilities (docs/rules.md)."""

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from feature_cache import NO_PICTURE, NO_SOUND, windows
from score.reference.exchange import Event, events_of
from score.reference.runs import Segments
from score.reference.scoring import probability, row_mean
from score.rule_parameters import IntervalsConfig

Floats = NDArray[np.float64]
Taken = list[tuple[int, int, float]]
"""Windows that are taken: first segment, one past the last, probability."""


def worth(taken: Taken, threshold: float, penalty: float) -> float:
    """The sum of length · (p − threshold) − penalty."""
    return sum((end - start) * (p - threshold) - penalty for start, end, p in taken)


def best_windows(p: Sequence[float], segments: int, threshold: float, penalty: float) -> Taken:
    """Disjoint windows with the largest sum, from the probability of each, in the order of windows; NaN: none.

    Of equal sums the one that leaves the last segment out, then the window that begins first.
    """
    ending: list[list[tuple[int, int]]] = [[] for _ in range(segments + 1)]
    for w, (start, end) in enumerate(windows(segments)):
        if w:
            ending[int(end)].append((w, int(start)))
    best: list[tuple[float, Taken]] = [(0.0, [])]
    for end in range(1, segments + 1):
        choices = [best[end - 1]]
        for w, start in ending[end]:
            if p[w] == p[w]:
                total = best[start][0] + ((end - start) * (p[w] - threshold) - penalty)
                choices.append((total, [*best[start][1], (start, end, p[w])]))
        best.append(max(choices, key=lambda each: each[0]))
    return best[-1][1]


def best_by_trying(p: Sequence[float], segments: int, threshold: float, penalty: float) -> float:
    """The largest sum of all sets of disjoint windows, tried one by one."""
    spans = [(int(start), int(end), w) for w, (start, end) in enumerate(windows(segments)) if w and p[w] == p[w]]
    most = 0.0
    for count in range(1, segments // 2 + 1):
        for some in itertools.combinations(spans, count):
            if all(a[1] <= b[0] for a, b in itertools.pairwise(sorted(some))):
                most = max(most, worth([(start, end, p[w]) for start, end, w in some], threshold, penalty))
    return most


def whole_clip(stream: str, video: Floats, audio: Floats, config: IntervalsConfig) -> Floats:
    """Whole-clip probabilities, (C,), by which a stream keeps labels."""
    return np.asarray(_of_windows(stream, video[:1], audio[:1], config)[0])


def window_table(stream: str, video: Floats, audio: Floats, config: IntervalsConfig) -> Floats:
    """Probabilities of windows, (W, C), over the labels that a stream keeps; NaN of the others, and of window 0."""
    kept = np.flatnonzero(whole_clip(stream, video, audio, config) > config.filter_threshold)
    found = np.full(audio.shape, np.nan)
    if len(kept):
        found[1:, kept] = _of_windows(stream, video[1:, :, kept], audio[1:, kept], config)
    return found


def _of_windows(stream: str, video: Floats, audio: Floats, config: IntervalsConfig) -> Floats:
    """4.1 of each window, (W, K)."""
    if stream == "audio":
        return probability(audio)
    seen = row_mean(np.moveaxis(probability(video), 1, 0))
    return seen if stream == "visual" else (1.0 - config.alpha) * seen + config.alpha * probability(audio)


def intervals_events(video: Floats, audio: Floats, segments: int, missing: int, config: IntervalsConfig) -> list[Event]:
    """Events of a clip from logits of its windows, (W, F, C) and (W, C)."""
    streams = [
        *([] if missing & NO_PICTURE else ["visual"]),
        *([] if missing & NO_SOUND else ["audio"]),
        *([] if missing or config.fusion == "late" else ["audiovisual"]),
    ]
    paths: dict[str, list[Segments]] = {}
    values: dict[str, Floats] = {}
    for stream in streams:
        table = window_table(stream, video, audio, config)
        values[stream] = np.zeros((table.shape[1], segments))
        paths[stream] = []
        for c, column in enumerate(table.T.tolist()):
            path = [False] * segments
            for start, end, p in best_windows(column, segments, config.threshold, config.window_penalty):
                path[start:end] = [True] * (end - start)
                values[stream][c, start:end] = p
            paths[stream].append(path)
    if missing:
        paths["audiovisual"], values["audiovisual"] = paths[streams[0]], values[streams[0]]
    elif config.fusion == "late":
        values["audiovisual"] = np.minimum(values["visual"], values["audio"])
        pairs = zip(paths["visual"], paths["audio"], strict=True)
        paths["audiovisual"] = [[a and b for a, b in zip(*pair, strict=True)] for pair in pairs]
    return events_of(paths, values, slope=0.0)

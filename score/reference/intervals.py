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
    spans = [(int(start), int(end)) for start, end in windows(segments)]
    best: list[tuple[float, Taken]] = [(0.0, [])]
    for end in range(1, segments + 1):
        choices = [best[end - 1]]
        for w in range(1, len(spans)):
            start, stop = spans[w]
            if stop == end and p[w] == p[w]:
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


def _table(stream: str, video: Floats, audio: Floats, config: IntervalsConfig) -> Floats:
    """Probabilities of windows, (W, C), over the labels that a stream keeps; NaN of the others."""
    whole_visual, whole_audio = row_mean(probability(video[0])), probability(audio[0])
    alpha = config.alpha
    mixed = (1.0 - alpha) * whole_visual + alpha * whole_audio
    whole = {"visual": whole_visual, "audio": whole_audio, "audiovisual": mixed}[stream]
    kept = np.flatnonzero(whole > config.filter_threshold)
    found = np.full(audio.shape, np.nan)
    if len(kept):
        for w in range(1, len(audio)):
            seen, heard = row_mean(probability(video[w][:, kept])), probability(audio[w, kept])
            of_both = (1.0 - alpha) * seen + alpha * heard
            found[w, kept] = {"visual": seen, "audio": heard, "audiovisual": of_both}[stream]
    return found


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
        table = _table(stream, video, audio, config)
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

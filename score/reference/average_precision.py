"""Mean average precision in plain Python, sentence by sentence as docs/design.md 4.8 has it. Slow."""

from collections.abc import Mapping, Sequence

Span = tuple[float, float]
Ranked = tuple[str, Span, float]
"""A predicted event of one class: clip, onset and offset, score."""


def iou(first: Span, second: Span) -> float:
    """Share of what two spans have in common; 0 where neither has a length."""
    common = max(0.0, min(first[1], second[1]) - max(first[0], second[0]))
    both = (second[1] - second[0]) + (first[1] - first[0]) - common
    return common / both if both > 0 else 0.0


def matched(events: Sequence[Ranked], true: Mapping[str, Sequence[Span]], threshold: float) -> list[bool]:
    """Which events of a class, best first, match a true one that none before has taken."""
    taken: set[tuple[str, int]] = set()
    found = []
    for clip, span, _ in events:
        spans = true.get(clip, ())
        by_iou = sorted(range(len(spans)), key=lambda number: -iou(span, spans[number]))
        hits = (n for n in by_iou if iou(span, spans[n]) >= threshold and (clip, n) not in taken)
        hit = next(hits, None)
        found.append(hit is not None)
        if hit is not None:
            taken.add((clip, hit))
    return found


def average_precision(events: Sequence[Ranked], true: Mapping[str, Sequence[Span]], threshold: float) -> float:
    """AP of a class: the area under precision over recall, precision being the largest from there on."""
    ranked = sorted(events, key=lambda event: -event[2])
    total = sum(len(spans) for spans in true.values())
    points = [(0.0, 0.0)]
    right = 0
    for number, hit in enumerate(matched(ranked, true, threshold), start=1):
        right += hit
        points.append((right / total, right / number))
    points.append((1.0, 0.0))
    area = 0.0
    for number in range(1, len(points)):
        area += (points[number][0] - points[number - 1][0]) * max(precision for _, precision in points[number:])
    return area


def mean_average_precisions(
    events: Mapping[str, Sequence[Ranked]],
    true: Mapping[str, Mapping[str, Sequence[Span]]],
    thresholds: Sequence[float],
) -> list[float]:
    """Means over the classes that have true events, one a threshold; events of other classes do not count."""
    classes = [label for label, by_clip in true.items() if any(by_clip.values())]
    return [
        sum(average_precision(events.get(label, ()), true[label], threshold) for label in classes) / len(classes)
        for threshold in thresholds
    ]

"""Metrics in plain Python: docs/design.md 4.8, sentence by sentence. Slow, and what the kernels are compared with.

A timeline is the set of segments in which a label is true; no bit, array or kernel is used here.
"""

from collections.abc import Iterable, Mapping, Sequence

Timeline = set[int]
Timelines = Mapping[str, Timeline]
"""Timelines by label, of one stream of one clip; a label that never occurs may be left out."""
Clip = Mapping[str, Timelines]
"""Timelines by stream (visual, audio, audiovisual) of one clip."""
Counts = tuple[int, int, int]
"""True positives, false positives, false negatives."""


def timelines(events: Iterable[tuple[str, int, int]]) -> dict[str, Timeline]:
    """Timelines of events (label, first segment, one past the last segment)."""
    found: dict[str, Timeline] = {}
    for label, start, end in events:
        found.setdefault(label, set()).update(range(start, end))
    return found


def runs(timeline: Timeline) -> list[Timeline]:
    """The events of a timeline: its longest stretches without a hole."""
    found: list[Timeline] = []
    for segment in sorted(timeline):
        if found and segment - 1 in found[-1]:
            found[-1].add(segment)
        else:
            found.append({segment})
    return found


def segment_counts(predicted: Timeline, true: Timeline) -> Counts:
    """Counts of one label's segments."""
    return len(predicted & true), len(predicted - true), len(true - predicted)


def event_counts(predicted: Timeline, true: Timeline) -> Counts:
    """Counts of one label's events: those match whose IoU is at least 0.5."""
    ours, theirs = runs(predicted), runs(true)

    def is_matched(event: Timeline, others: list[Timeline]) -> bool:
        return any(len(event & other) / len(event | other) >= 0.5 for other in others)

    hits = sum(is_matched(event, theirs) for event in ours)
    return hits, len(ours) - hits, sum(not is_matched(event, ours) for event in theirs)


LEVELS = {"segment": segment_counts, "event": event_counts}


def mean_f1(counts: Iterable[Counts]) -> float:
    """Mean F1 over the labels that occur in truth or prediction; 1.0 if none does."""
    scores = [2 * tp / (2 * tp + fp + fn) for tp, fp, fn in counts if tp + fp + fn > 0]
    return sum(scores) / len(scores) if scores else 1.0


def clip_figures(predicted: Clip, true: Clip, paper_protocol: bool = False) -> dict[str, float]:
    """The ten figures of one clip, as fractions.

    Args:
        predicted: timelines of the three streams.
        true: timelines of what is seen and heard; audiovisual is seen and heard at once.
        paper_protocol: take the visual predictions as the audio ones too, as the official script does.
    """
    guess = {**predicted, "audio": predicted["visual"]} if paper_protocol else dict(predicted)
    seen, heard = true["visual"], true["audio"]
    truth = {"visual": seen, "audio": heard}
    truth["audiovisual"] = {label: seen[label] & heard[label] for label in seen.keys() & heard.keys()}
    labels = sorted({label for streams in (guess, truth) for stream in streams.values() for label in stream})
    figures = {}
    for level, count in LEVELS.items():
        of = {
            stream: [count(guess[stream].get(label, set()), truth[stream].get(label, set())) for label in labels]
            for stream in truth
        }
        for stream, counts in of.items():
            figures[f"{level}-{stream}"] = mean_f1(counts)
        figures[f"{level}-type-av"] = sum(figures[f"{level}-{stream}"] for stream in of) / 3
        added = [(a[0] + b[0], a[1] + b[1], a[2] + b[2]) for a, b in zip(of["visual"], of["audio"], strict=True)]
        figures[f"{level}-event-av"] = mean_f1(added)
    return figures


def llp_figures(predicted: Sequence[Clip], true: Sequence[Clip], paper_protocol: bool = False) -> dict[str, float]:
    """The ten figures of a split in percent: means over its clips."""
    clips = [clip_figures(ours, theirs, paper_protocol) for ours, theirs in zip(predicted, true, strict=True)]
    return {name: 100 * sum(clip[name] for clip in clips) / len(clips) for name in clips[0]}


def label_counts(predicted: Sequence[Timelines], true: Sequence[Timelines], label: str, level: str) -> Counts:
    """Counts of one label over all clips of one stream; ``level`` is "segment" or "event"."""
    found = [
        LEVELS[level](ours.get(label, set()), theirs.get(label, set()))
        for ours, theirs in zip(predicted, true, strict=True)
    ]
    return sum(c[0] for c in found), sum(c[1] for c in found), sum(c[2] for c in found)


def accuracy(
    predicted: Sequence[Sequence[tuple[str, int, int]]], true: Sequence[Sequence[tuple[str, int, int]]], segments: int
) -> float:
    """AVE accuracy in percent.

    Args:
        predicted: each clip's audiovisual events (label, first segment, one past the last), in their order; the first
            counts.
        true: each clip's annotations, likewise.
        segments: T, segments a clip.
    """

    def class_of(events: Sequence[tuple[str, int, int]], segment: int) -> str | None:
        return events[0][0] if events and events[0][1] <= segment < events[0][2] else None

    shares = [
        sum(class_of(ours, s) == class_of(theirs, s) for s in range(segments)) / segments
        for ours, theirs in zip(predicted, true, strict=True)
    ]
    return 100 * sum(shares) / len(shares)


def label_of_segments(events: Sequence[tuple[str, int, int, float]], segments: int) -> list[str | None]:
    """One label a segment: of the events there (label, start, end, score) the first of those with the best score."""
    found: list[str | None] = []
    for segment in range(segments):
        there = [
            (score, -place, label) for place, (label, start, end, score) in enumerate(events) if start <= segment < end
        ]
        found.append(max(there)[2] if there else None)
    return found


def share_right(predicted: Sequence[str | None], true: Sequence[str | None]) -> float:
    """Share of segments whose label is the true one, None being a label."""
    return sum(ours == theirs for ours, theirs in zip(predicted, true, strict=True)) / len(true)


def one_label_figures(predicted: Sequence[str | None], true: Sequence[str | None]) -> tuple[float, float, float]:
    """Accuracy, segment F1 and event F1 of a clip with one label a segment, None being a label."""
    labels = {*predicted, *true}
    ours, theirs = (
        {label: {s for s, x in enumerate(side) if x == label} for label in labels} for side in (predicted, true)
    )
    levels = [mean_f1(count(ours[label], theirs[label]) for label in labels) for count in LEVELS.values()]
    return share_right(predicted, true), levels[0], levels[1]

"""Scoring and stitching with everything in memory at once: what scoring a block at a time must give."""

import math
from dataclasses import replace

import numpy as np

from feature_cache import FAILED, MISSING_NAMES, PENDING, FeatureCache
from score import Events, ScoreConfig
from score.event_facts import read_origins
from score.kernels.scorer import Scorer
from score.rules.av2a import fitting

_Span = tuple[int, int, int, float, float, float]


def plain_score(cache: FeatureCache, config: ScoreConfig) -> Events:
    """All clips that are done, in one batch."""
    config = fitting(cache, config)
    text, features, status = cache.text(), cache.read(), cache.status()
    rows, table, scores = Scorer(config, text, cache.segments).score(features)
    ids = [cache.clip_ids[row] for row in rows]
    assert features.missing is not None
    return Events(
        config=config,
        clip_ids=tuple(ids),
        labels=text.labels,
        clip=table[:, 0].astype(np.int32),
        stream_number=table[:, 1].astype(np.int8),
        label=table[:, 2].astype(np.int32),
        start=table[:, 3].astype(np.int16),
        end=table[:, 4].astype(np.int16),
        score=scores,
        segments=cache.segments,
        segment_seconds=cache.segment_seconds,
        cache={"identity": cache.identity, "backbone": cache.backbone, "text": text.name},
        left_out={"pending": int((status == PENDING).sum()), "failed": int((status == FAILED).sum())},
        missing={clip: MISSING_NAMES[int(bits)] for clip, bits in zip(ids, features.missing, strict=True) if bits},
        clips_from=read_origins(cache.attributes.get("clips_from", {})),
    )


def plain_stitch(events: Events) -> Events:
    """An event after the other, as docs/design.md 4.9 says it."""
    files: dict[str, int] = {}
    places = []
    for clip in events.clip_ids:
        file, begin, end = events.clips_from.get(clip, (clip, 0.0, None))
        places.append((files.setdefault(file, len(files)), begin, math.inf if end is None else end))
    spans: list[_Span] = []
    for row in range(len(events)):
        number, begin, stop = places[events.clip[row]]
        onset = round(begin + float(events.start[row]) * events.segment_seconds, 6)
        offset = round(min(begin + float(events.end[row]) * events.segment_seconds, stop), 6)
        if onset < offset:
            stream, label = int(events.stream_number[row]), int(events.label[row])
            spans.append((number, stream, label, onset, offset, float(events.score[row])))
    merged: list[_Span] = []
    for span in sorted(spans):
        if merged and merged[-1][:3] == span[:3] and span[3] <= merged[-1][4] + 1e-6:
            number, stream, label, onset, offset, score = merged[-1]
            merged[-1] = (number, stream, label, onset, max(offset, span[4]), max(score, span[5]))
        else:
            merged.append(span)
    merged.sort(key=lambda span: (span[0], span[1], span[3], span[4], span[2]))
    columns = list(zip(*merged, strict=True)) or [()] * 6
    return replace(
        events,
        clip_ids=tuple(files),
        clip=np.array(columns[0], dtype=np.int32),
        stream_number=np.array(columns[1], dtype=np.int8),
        label=np.array(columns[2], dtype=np.int32),
        start=np.zeros(len(merged), dtype=np.int16),
        end=np.zeros(len(merged), dtype=np.int16),
        score=np.array(columns[5], dtype=np.float64),
        seconds=np.array(columns[3:5], dtype=np.float64).T.reshape(-1, 2),
    )

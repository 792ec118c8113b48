"""Desk: a cache in memory, ready to say what any setting finds in it; what the page of `tune` asks."""

import os
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from feature_cache import Av2aError, FeatureCache, TextSet
from feature_cache.names import shortened
from score.choices import STREAMS
from score.datasets import Annotations, find_dataset
from score.datasets.match import LabelNumbers, match_clips
from score.errors import AnnotationError, ScoreError
from score.evaluation import check_coverage, evaluate
from score.events import Events
from score.parameters import Parameters, describe
from score.rules import RULES, Rule, find_rule, rule_of
from score.scoring import score
from score.stitching import cut_from_longer, stitch
from score.tuning.held import HeldSplit
from score.tuning.rescorer import Rescorer
from score.tuning.space import Space
from score.tuning.sweeper import Sweeper
from score.view.clip_rows import clip_columns, disagreement, percents
from score.view.controls import choices_of
from score.view.kept_inputs import KeptInputs
from score.view.opened import OpenedCache
from score.view.true_events import annotated_labels, true_events, what_lacks

_HELD = 3
"""Splits whose logits stay in memory: of the rules and sounds that were looked at last."""
WITH_CARRY = "figures are of clips on their own: none with `carry`"


class Desk:
    """A cache, annotations and settings on them; methods may be called from any thread.

    Attributes:
        opened: the cache as it was opened.
        annotations: of the split whose figures are shown, or None.
        session: tells one process from the next.
        begun: the setting that somebody began with, if any: usual for its rule where nothing is published.
    """

    def __init__(
        self,
        path: str,
        annotations: Annotations | None = None,
        *,
        partial: bool = False,
        threads: int | None = None,
        texts_allowed: frozenset[str] = frozenset(),
    ) -> None:
        """Open a cache.

        Args:
            path: of the cache.
            annotations: of a split, for figures.
            partial: accept that clips of the split are missing from the cache.
            threads: threads to use, by default one a core.
            texts_allowed: values of parameters that are free texts, beside their defaults and "cache": a page cannot
                name files.

        Raises:
            CacheError: the cache cannot be read.
            ScoreError: it has no clip that is done.
            AnnotationError: the annotations are of other clips.
        """
        self._path, self._partial = path, partial
        self._threads = threads or os.cpu_count() or 1
        self._texts_allowed = texts_allowed
        self.annotations = annotations
        self.begun: Parameters | None = None
        self.session = uuid.uuid4().hex[:12]
        self._held: OrderedDict[tuple[Any, ...], HeldSplit] = OrderedDict()
        self._holding = threading.Lock()
        self._inputs = KeptInputs()
        self.opened = OpenedCache(path)
        self._annotated = self._annotated_in(self.opened)

    def reopen(self) -> None:
        """Open the cache again, as it is now on the disk; splits stay in memory where its clips are what they were.

        Raises:
            As :meth:`__init__`.
        """
        opened = OpenedCache(self._path)
        annotated = self._annotated_in(opened)
        with self._holding:
            same = self.opened.texts_as_in(opened) if opened.identity == self.opened.identity else set()
            for key in [key for key in self._held if key[0] not in same]:
                del self._held[key]
            self.opened, self._annotated = opened, annotated
            self._inputs.clear()

    def _annotated_in(self, opened: OpenedCache) -> dict[int, str]:
        """Which annotated clip each clip is.

        Raises:
            AnnotationError: the annotations are of other clips.
        """
        if self.annotations is None:
            return {}
        names = self._files_or_clips(opened)
        order = list(dict.fromkeys(names))
        found = match_clips(self.annotations.clip_ids, order)
        missing = [clip for clip in self.annotations.clip_ids if clip not in found]
        check_coverage(missing, self.annotations, self._partial)
        by_name = {order[number]: clip for clip, number in found.items()}
        return {number: by_name[name] for number, name in enumerate(names) if name in by_name}

    def _files_or_clips(self, opened: OpenedCache) -> list[str]:
        """What annotations name each clip by: its file, where whole files are annotated; else itself."""
        if self.annotations is None or not find_dataset(self.annotations.kind).whole_files:
            return list(opened.clip_ids)
        return [opened.origins[clip][0] if clip in opened.origins else clip for clip in opened.clip_ids]

    @property
    def n_found(self) -> int:
        """Clips (or files) of the annotated split that the cache has."""
        return len(set(self._annotated.values()))

    def in_split(self, number: int) -> bool:
        """Whether a clip is in the annotated split."""
        return number in self._annotated

    def usual(self, rule: str) -> Parameters:
        """A rule's settings of the cache where nothing else is given; the data set's decision goes first.

        Where the cache does not hold enough for them, with the first choice of one parameter for which it does.

        Raises:
            ScoreError: the cache does not hold enough, or nothing is published for its backbone.
        """
        found, cache = find_rule(rule), self.opened.cache
        first: dict[str, Any] = {}
        if self.annotations is not None and "decision" in describe(found.parameters):
            first["decision"] = find_dataset(self.annotations.kind).decision
        try:
            settings: Parameters = found.settings(cache, first)
        except ScoreError:
            if self.begun is None or rule_of(self.begun) is not found:
                raise
            settings = self.begun
        return _fitting(found, cache, settings)

    def usual_of_all(self) -> dict[str, Parameters | ScoreError]:
        """The same of every rule, or why there are none."""
        found: dict[str, Parameters | ScoreError] = {}
        for name in RULES:
            try:
                found[name] = self.usual(name)
            except ScoreError as error:
                found[name] = error
        return found

    def config(self, setting: Any) -> Parameters:
        """A setting as a page says it, ``{"rule": ..., "parameters": {...}}``, checked.

        Raises:
            ScoreError: it is something else, or a value is out of its range.
        """
        if not isinstance(setting, Mapping) or not isinstance(setting.get("parameters"), Mapping):
            raise ScoreError("a setting is a rule and its parameters")
        rule = find_rule(shortened(str(setting.get("rule")), 60))
        known, given = describe(rule.parameters), setting["parameters"]
        for name, value in given.items():
            each = known.get(name)
            if each is None or each.kind != "text":
                continue
            if not isinstance(value, str) or value not in {each.default, "cache", *self._texts_allowed}:
                raise ScoreError(
                    f"{name} is {shortened(repr(value), 60)}: here it is {each.default} or cache, or what was given "
                    "when this was started"
                )
        found: Parameters = rule.parameters.from_dict(given)
        return found

    def clip(self, number: int, text: str | None, config: Parameters, label: int | None = None) -> dict[str, Any]:
        """Events of a clip, what is annotated there, and why a label has its events.

        Args:
            number: of the clip.
            text: name of the label set.
            config: the setting.
            label: number of the label that is asked about.

        Returns:
            JSON-able: events (stream, label, onset, offset, score), truth (without a score; None: not annotated), why.

        Raises:
            ScoreError: there is no such clip or label, or the cache does not hold enough for the setting.
            CacheError: the cache cannot be read.
        """
        words = self.opened.text(text)
        if label is not None and not 0 <= label < len(words.labels):
            raise ScoreError(f"no label {label}: there are {len(words.labels)}, from 0 on")
        return {
            "clip": number,
            "events": self.events(number, words, config),
            "truth": self.truth(number, words),
            "duration": self.opened.seconds_of(number),
            "why": None if label is None else self._why(number, words, config, label),
        }

    def events(self, number: int, words: TextSet, config: Parameters) -> list[list[Any]]:
        """Events of a clip: stream, label, onset, offset, score; those that :func:`score.score` finds."""
        opened, rule = self.opened, rule_of(config)
        features = opened.features(number)
        config = rule.fitting(opened.still, config)
        if config.to_dict().get("carry") and rule.carrier is not None:
            carrier = rule.carrier(config, words, opened.still)
            carrier.begin_file()
            for earlier in opened.before(number):
                carrier.score(opened.features(earlier))
            _, table, scores = carrier.score(features)
        else:
            _, table, scores = rule.scorer(config, words, opened.still).score(features)
        seconds = opened.cache.segment_seconds
        spans = np.minimum(table[:, 3:5].astype(np.float64) * seconds, opened.seconds_of(number))
        columns = table[:, 1].tolist(), table[:, 2].tolist(), *spans.T.tolist(), scores.tolist()
        return [list(event) for event in zip(*columns, strict=True) if event[2] < event[3]]

    def truth(self, number: int, words: TextSet) -> list[list[Any]] | None:
        """What is annotated in a clip: stream, label, onset, offset; None where it is not annotated."""
        if self.annotations is None or number not in self._annotated:
            return None
        begins, duration = 0.0, self.opened.seconds_of(number)
        if find_dataset(self.annotations.kind).whole_files:
            _, begins, _ = self.opened.origins.get(self.opened.clip_ids[number], ("", 0.0, None))
        clip, numbers = self._annotated[number], LabelNumbers(words.labels, self.annotations.origin)
        like = {label: numbers.like(label) for label in annotated_labels(self.annotations, [clip])}
        known = {label: found[0] for label, found in like.items() if len(found) == 1}
        block = true_events(self.annotations, {clip: 0}, known)
        spans = zip(
            block.stream.tolist(), block.label.tolist(), block.onset.tolist(), block.offset.tolist(), strict=True
        )
        shown = ((stream, label, onset - begins, offset - begins) for stream, label, onset, offset in spans)
        return [
            [stream, label, max(0.0, onset), min(duration, offset)]
            for stream, label, onset, offset in shown
            if onset < duration and offset > 0
        ]

    def _why(self, number: int, words: TextSet, config: Parameters, label: int) -> dict[str, Any] | None:
        opened, rule = self.opened, rule_of(config)
        if rule.explainer is None:
            return None
        try:
            config = rule.fitting(opened.still, config)
            inputs = self._inputs.of(rule, config, words, opened.still)
            explains = rule.explainer(config, words, opened.still, inputs)
            found = explains.explain(opened.features(number), label)
        except ScoreError as error:
            return {"label": label, "unit": "", "streams": [None] * len(STREAMS), "note": str(error)}
        streams = [found.streams.get(stream) for stream in STREAMS]
        return {
            "label": label,
            "unit": found.unit,
            "note": "",
            "streams": [
                each
                and {
                    "value": _numbers(each.value),
                    "limit": _numbers(each.limit),
                    "on": each.on.tolist(),
                    "steps": list(each.steps),
                }
                for each in streams
            ],
        }

    def figures(self, text: str | None, config: Parameters) -> dict[str, Any]:
        """Figures of a setting over the annotated split: ``{"figures": {name: value or None}, "note": why none}``."""
        if self.annotations is None:
            return {"figures": {}, "note": "nothing is annotated"}
        if config.to_dict().get("carry"):
            return {"figures": {}, "note": WITH_CARRY}
        try:
            held, space = self.held(text, config)
            values = held.metrics(space.settings([config]), space)[0].tolist()
        except AnnotationError as error:
            return {"figures": {}, "note": self._lacking(self.opened.text(text)) or str(error)}
        except ScoreError as error:
            return {"figures": {}, "note": str(error)}
        return {"figures": dict(zip(held.metric_names, map(_number, values), strict=True)), "note": None}

    def _lacking(self, words: TextSet) -> str:
        assert self.annotations is not None
        return what_lacks(self.annotations, self._annotated.values(), words.labels)

    def held(self, text: str | None, config: Parameters, **varied: Any) -> tuple[HeldSplit, Space]:
        """The annotated split in memory, and the space of a setting, or of more values of some parameters.

        Raises:
            ScoreError: nothing is annotated, or the cache does not hold enough.
            AnnotationError: the labels do not fit.
        """
        if self.annotations is None:
            raise ScoreError("nothing is annotated: there are no figures")
        rule = rule_of(config)
        values = {**config.to_dict(), **varied}
        space = Space(rule=rule.name, **values)
        words = self.opened.text(text)
        key = (words.name, rule.name, *(values[name] for name in rule.inputs_by))
        with self._holding:
            found = self._held.get(key)
            if found is None:
                kind = Rescorer if find_dataset(self.annotations.kind).from_sums is None else Sweeper
                how: dict[str, Any] = {"partial": self._partial, "threads": self._threads}
                found = kind(self.opened.cache, self.annotations, words.name, **how)
                found.check(space)
                found.prepare(space)
                self._held[key] = found
                while len(self._held) > _HELD:
                    self._held.popitem(last=False)
            self._held.move_to_end(key)
        return found, space

    def rows(self, text: str | None, config: Parameters) -> list[dict[str, Any]]:
        """What a list says of each clip under a setting: counts, score, labels, wrong; all clips are scored."""
        how: dict[str, Any] = {"text": self.opened.text(text).name, "threads": self._threads}
        found = score(self.opened.cache, config, stitched=False, **how)
        columns = clip_columns(found.block, len(found.clip_ids))
        counts = np.reshape(columns["counts"], (-1, len(STREAMS))).tolist()
        wrong = self._wrong(found)
        rows = zip(found.clip_ids, counts, columns["score"], columns["labels"], strict=True)
        by_clip = {
            clip: {"counts": count, "score": best, "labels": labels, "wrong": wrong.get(clip)}
            for clip, count, best, labels in rows
        }
        nothing: dict[str, Any] = {
            "counts": None,
            "score": None,
            "labels": [],
            "wrong": None,
        }  # of a clip that is there no more
        return [by_clip.get(clip, nothing) for clip in self.opened.clip_ids]

    def _wrong(self, found: Events) -> dict[str, float | None]:
        """How far each annotated clip is from its annotations, in percent, by clip id."""
        if self.annotations is None:
            return {}
        dataset = find_dataset(self.annotations.kind)
        if cut_from_longer(found.clips_from) and dataset.whole_files:
            found = stitch(found)
        try:
            report = evaluate(found, self.annotations, partial=self._partial)
        except Av2aError:
            return {}  # of other labels, as the figures say
        known = disagreement(report.by_clip, dataset.objective, dataset.figures)
        by_name = {} if known is None else dict(zip(report.clips, percents(known[1]), strict=True))
        ids = self.opened.clip_ids
        return {ids[number]: by_name[name] for number, name in self._annotated.items() if name in by_name}


def _fitting(rule: Rule, cache: FeatureCache, settings: Parameters) -> Parameters:
    """The same, or with another choice of one parameter, for which a cache holds enough.

    Raises:
        ScoreError: there is none.
    """
    try:
        rule.fitting(cache, settings)
    except ScoreError:
        for each in describe(rule.parameters).values():
            for value in choices_of(each):
                with suppress(ScoreError):
                    found: Parameters = settings.replace(**{each.name: value})
                    rule.fitting(cache, found)
                    return found
        raise
    return settings


def _numbers(values: Any) -> list[float | None]:
    return [_number(value) for value in values.tolist()]


def _number(value: float) -> float | None:
    """JSON-able: what is not defined is null."""
    return None if value != value else value


def milliseconds(began: float) -> float:
    """Since a moment of ``time.perf_counter``."""
    return round(1e3 * (time.perf_counter() - began), 2)

"""write_report(): events as one HTML file that opens from disk without a network (docs/report.md)."""

import html
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from feature_cache import FeatureCache
from feature_cache.names import escaped
from feature_cache.storage.atomic import whole_outputs
from score.choices import STREAMS
from score.comparison import compare
from score.datasets import Annotations, find_dataset
from score.errors import ScoreError
from score.evaluation import Report, evaluate
from score.event_blocks import EventBlocks
from score.events import Events
from score.formats import FORMATS, kind_of
from score.formats.base import joined
from score.predictions import read_predictions
from score.view.about import Words, about_cache, about_comparison, about_report, about_system
from score.view.bundle import PAGE, bundle, source_hash, styles
from score.view.clip_rows import clip_columns, differences, disagreement, flat_events, labels_by_clip, percents
from score.view.layers import Layers, lay
from score.view.media import Media, encoded, media_of
from score.view.videos import ClipVideos

USUAL_TITLE = "av2a report"
MOST_SYSTEMS = 26
"""Systems have letters."""
_IN_SCRIPT = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


@dataclass(frozen=True)
class Written:
    """What a report holds.

    Attributes:
        path: the file.
        clips: number of clips.
        events: number of events, of all systems.
        bytes: size of the file.
        with_video: number of clips with a video or a sound.
        embedded: number of files that were put in.
        linked: number of files that links lead to.
    """

    path: Path
    clips: int
    events: int
    bytes: int
    with_video: int
    embedded: int
    linked: int


def read_system(path: str | PathLike[str], annotations: Annotations | None, **how: Any) -> EventBlocks:
    """Events of a file, for a report.

    Args:
        path: a file of av2a's; with annotations, of any system.
        annotations: what the events will be compared with.
        how: what :func:`score.read_predictions` takes beside them.

    Raises:
        ScoreError: the file is missing, damaged or something else, or a list, beside which annotations are needed.
        AnnotationError: it does not fit the annotations.
    """
    if annotations is not None:
        return read_predictions(path, annotations, **how)
    if Path(path).exists() and ((known := FORMATS.get(kind_of(path))) is None or known.read is None):
        raise ScoreError(
            f"{path} is a list of events that does not say which clips were looked at: name what is true, too: "
            "`annotations`"
        )
    return EventBlocks.read(path, how.get("progress", lambda done, size: None))


def write_report(
    path: str | PathLike[str],
    events: Mapping[str, Events | EventBlocks],
    *,
    annotations: Annotations | None = None,
    videos: str | PathLike[str] | None = None,
    cache: FeatureCache | None = None,
    embed: int | None = None,
    partial: bool = False,
    title: str = USUAL_TITLE,
    words: Words = str,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Written:
    """Write events as one HTML file to look at, listen to and send on.

    Args:
        path: the file to write; one that is there is replaced.
        events: what each system found, by its name; the first is the one that others are compared with.
        annotations: what is true: figures, and truth beside the events.
        videos: folder of the videos (or the one video): the report links to them, relative to its own folder.
        cache: the cache that was scored: it says which clips failed and why, and what files of other names are called.
        embed: bytes up to which a video is put into the file.
        partial: accept that clips of the annotations were not scored.
        title: of the page.
        words: how notes and reasons are worded.
        progress: called with how many of the videos that are put in are written, and of how many.

    Raises:
        ScoreError: no events, too many systems, events of clips beside events of whole files, no such folder of videos,
            or a file that cannot be read or written.
        AnnotationError: annotations do not fit the events.

    Example:
        >>> written = write_report("report.html", {"mine": Events.read("events.json")}, videos="videos")
        >>> written.clips, written.with_video
        (96, 96)
    """
    if not events or len(events) > MOST_SYSTEMS:
        raise ScoreError(f"{len(events)} files of events: a report shows 1 to {MOST_SYSTEMS}")
    systems = {name: _as_blocks(found) for name, found in events.items()}
    kept = {name: found.keep(STREAMS) for name, found in systems.items()}
    reports, figures = _measured(systems, annotations, partial)
    layers = lay({name: (found.facts, joined(kept[name])) for name, found in systems.items()}, annotations)
    notes = {name: [words(note) for note in found.notes] for name, found in systems.items()}
    path = Path(path)
    media = _media(layers, videos, cache, path, embed)
    data = {
        "title": escaped(title),
        "version": version("av2a"),
        **_clips(layers, media, annotations, reports),
        "about": _about(layers, notes, cache, figures, words),
    }
    size = _write(path, escaped(title), data, media, progress)
    return Written(
        path=path,
        clips=len(layers.clip_ids),
        events=sum(map(len, layers.events)),
        bytes=size,
        with_video=media.found,
        embedded=len(media.embedded),
        linked=len(media.urls) - len(media.embedded),
    )


def _as_blocks(found: Events | EventBlocks) -> EventBlocks:
    if isinstance(found, EventBlocks):
        return found
    if found.seconds is None:
        found.check_spans()
    return found.blocks()


def _measured(
    systems: Mapping[str, EventBlocks], annotations: Annotations | None, partial: bool
) -> tuple[list[Report], dict[str, Any] | None]:
    """Reports of the systems, and what is said of them; the events have passed by then."""
    if annotations is None:
        for found in systems.values():
            for _ in found:
                pass
        return [], None
    if len(systems) == 1:
        [(name, only)] = systems.items()
        report = evaluate(only, annotations, partial=partial, details=True)
        return [report], about_report(name, report)
    compared = compare(systems, annotations, partial=partial)
    return list(compared.reports.values()), about_comparison(compared)


def _media(
    layers: Layers, videos: str | PathLike[str] | None, cache: FeatureCache | None, report: Path, embed: int | None
) -> Media:
    found = None
    if videos is not None:
        facts, files = layers.facts[0], {} if cache is None else cache.attributes.get("files", {})
        seconds = None if layers.stitched else facts.segments * facts.segment_seconds
        found = ClipVideos(videos, layers.clip_ids, layers.origins, files, seconds)
    silent = frozenset(clip for clip, what in layers.missing.items() if what == "picture")
    return media_of(found, layers.clip_ids, report, embed, silent)


def _clips(
    layers: Layers, media: Media, annotations: Annotations | None, reports: Sequence[Report]
) -> dict[str, Any]:  # fmt: skip
    """Clips with their events, and all that a list of them says, as columns."""
    n, first = len(layers.clip_ids), layers.facts[0]
    seconds = layers.seconds.tolist()
    everything = [*layers.events, *([] if layers.truth is None else [layers.truth])]
    several, missing = len(layers.names) > 1, layers.missing
    return {
        "labels": list(layers.labels),
        "segment": first.segment_seconds,
        "stitched": layers.stitched,
        "layers": [
            {"name": escaped(name), "events": flat_events(block, n), "absent": absent}
            for name, block, absent in zip(layers.names, layers.events, layers.absent, strict=True)
        ],
        "truth": _truth(layers, n),
        "clips": {
            "id": list(layers.clip_ids),
            **clip_columns(layers.events[0], n),
            "also": labels_by_clip(everything, n) if len(everything) > 1 else None,
            "differs": percents(_differing(layers, n)) if several else None,
            "wrong": _wrong(layers, annotations, reports, n),
            "missing": {str(at): missing[clip] for at, clip in enumerate(layers.clip_ids) if clip in missing},
            "seconds": seconds[0] if len(set(seconds)) == 1 else [round(each, 6) for each in seconds],
            "place": media.places,
        },
        "urls": media.urls,
    }


def _truth(layers: Layers, n: int) -> list[list[Any] | None] | None:
    """True events of each clip; None of clips that nobody has annotated."""
    if layers.truth is None:
        return None
    known = set(layers.annotated.values())
    found = flat_events(layers.truth, n, scores=False)
    return [events if clip in known else None for clip, events in enumerate(found)]


def _differing(layers: Layers, n: int) -> Any:
    found = differences(layers.events, n, len(layers.labels))
    for absent in layers.absent:
        found[absent] = np.nan
    return found


def _wrong(
    layers: Layers, annotations: Annotations | None, reports: Sequence[Report], n: int
) -> dict[str, Any] | None:  # fmt: skip
    """How far each clip of the first system is from its annotations, and by which figure."""
    if annotations is None:
        return None
    dataset, report = find_dataset(annotations.kind), reports[0]
    found = disagreement(report.by_clip, dataset.objective, dataset.figures)
    values = np.full(n, np.nan)
    if found is not None:
        values[[layers.annotated[clip] for clip in report.clips]] = found[1]
    return {"figure": "" if found is None else found[0], "values": percents(values)}


def _about(
    layers: Layers, notes: Mapping[str, Sequence[str]], cache: FeatureCache | None, figures: dict[str, Any] | None,
    words: Words,
) -> dict[str, Any]:  # fmt: skip
    size = len(layers.labels)
    found: dict[str, Any] = {
        "systems": [
            about_system(escaped(name), facts, block, size, [escaped(note) for note in notes[name]])
            for name, facts, block in zip(layers.names, layers.facts, layers.events, strict=True)
        ],
        "figures": figures,
        "cache": None,
        "failures": None,
        "other_cache": False,
    }
    if cache is not None:
        found["cache"], found["failures"] = about_cache(cache, words)
        scored = {facts.cache.get("identity") for facts in layers.facts} - {None}
        found["other_cache"] = bool(scored) and found["cache"]["identity"] not in scored
    return found


def _write(path: Path, title: str, data: Any, media: Media, progress: Callable[[int, int], None]) -> int:
    size = 0
    try:
        with whole_outputs([path]) as (file,):
            for text in _pieces(title, data, media, progress):
                raw = text.encode()
                file.write(raw)
                size += len(raw)
    except OSError as error:
        of_video = error.filename in {str(video) for video, _ in media.embedded.values()}
        raise ScoreError(f"{error.filename if of_video else path}: {error.strerror or error}") from error
    return size


def _pieces(title: str, data: Any, media: Media, progress: Callable[[int, int], None]) -> Iterator[str]:
    """The file, a piece at a time: the page, its script, and what is put in, which may come later."""
    folder = PAGE / "report"
    script = bundle(folder / "report.js")
    style = styles(PAGE / "shared" / "base.css", folder / "report.css")
    policy = (
        f"default-src 'none'; script-src {source_hash(script)}; style-src {source_hash(style)}; "
        "media-src 'self' file: blob:; base-uri 'none'; form-action 'none'"
    )
    filled = {"policy": policy, "title": html.escape(title), "style": style, "data": in_script(data), "script": script}
    for number, part in enumerate((folder / "index.html").read_text(encoding="utf-8").split("@@")):
        yield filled[part] if number % 2 else part
    for done, (number, (path, kind)) in enumerate(media.embedded.items()):
        progress(done, len(media.embedded))
        yield f'<script type="text/plain" id="media-{number}" data-type="{kind}">'
        yield from encoded(path)
        yield "</script>\n"
    yield "</html>\n"


def in_script(data: Any) -> str:
    """JSON that may stand in an element of a page: ASCII, and nothing in it ends the element.

    Example:
        >>> in_script(["</script>"])
        '["\\\\u003c/script\\\\u003e"]'
    """
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    for char, stand_in in _IN_SCRIPT.items():
        text = text.replace(char, stand_in)
    return text

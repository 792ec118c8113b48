"""EAF, the files of ELAN: a file a clip, a tier a stream and label, as annotations of a tier cannot overlap."""

from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from feature_cache.names import escaped
from score.choices import STREAMS
from score.errors import ScoreError
from score.formats.base import ClipEvents, EventBlock, Facts, Format, remarks
from score.formats.clip_folders import ClipEvent, clip_reader
from score.formats.named import shown

_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<ANNOTATION_DOCUMENT AUTHOR="av2a" DATE="1970-01-01T00:00:00+00:00" FORMAT="3.0" VERSION="3.0"'
    ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    ' xsi:noNamespaceSchemaLocation="http://www.mpi.nl/tools/elan/EAFv3.0.xsd">\n'
    '    <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">\n'
)
_TAIL = (
    '    <LINGUISTIC_TYPE GRAPHIC_REFERENCES="false" LINGUISTIC_TYPE_ID="default-lt" TIME_ALIGNABLE="true"/>\n'
    "    <CONSTRAINT DESCRIPTION=\"Time subdivision of parent annotation's time interval, no time gaps allowed within"
    ' this interval" STEREOTYPE="Time_Subdivision"/>\n'
    '    <CONSTRAINT DESCRIPTION="Symbolic subdivision of a parent annotation. Annotations refering to the same parent'
    ' are ordered" STEREOTYPE="Symbolic_Subdivision"/>\n'
    '    <CONSTRAINT DESCRIPTION="1-1 association with a parent annotation" STEREOTYPE="Symbolic_Association"/>\n'
    "    <CONSTRAINT DESCRIPTION=\"Time alignable annotations within the parent annotation's time interval, gaps are"
    ' allowed" STEREOTYPE="Included_In"/>\n'
    "</ANNOTATION_DOCUMENT>\n"
)


def write_eaf(facts: Facts, clip: ClipEvents) -> Mapping[str, str]:
    """CLIP.eaf; its properties say whose it is, and what is approximate or inferred, if anything is."""
    tiers = _tiers(facts, clip.events)
    said = {"clip": clip.clip, **remarks(facts)}
    said["lastUsedAnnotationId"] = str(len(clip.events))
    slots: list[str] = []
    bodies: list[str] = []
    for name, (label, spans) in tiers.items():
        bodies.append(f'    <TIER LINGUISTIC_TYPE_REF="default-lt" TIER_ID={quoteattr(name)}>\n')
        for span in spans:
            first, second = len(slots) + 1, len(slots) + 2
            slots += [
                f'        <TIME_SLOT TIME_SLOT_ID="ts{first + at}" TIME_VALUE="{time}"/>\n'
                for at, time in enumerate(span)
            ]
            bodies.append(
                f'        <ANNOTATION>\n            <ALIGNABLE_ANNOTATION ANNOTATION_ID="a{second // 2}"'
                f' TIME_SLOT_REF1="ts{first}" TIME_SLOT_REF2="ts{second}">\n'
                f"                <ANNOTATION_VALUE>{escape(label)}</ANNOTATION_VALUE>\n"
                "            </ALIGNABLE_ANNOTATION>\n        </ANNOTATION>\n"
            )
        bodies.append("    </TIER>\n")
    head = "".join(
        f"        <PROPERTY NAME={quoteattr(name)}>{escape(_xml(value))}</PROPERTY>\n" for name, value in said.items()
    )
    times = f"    </HEADER>\n    <TIME_ORDER>\n{''.join(slots)}    </TIME_ORDER>\n"
    return {".eaf": f"{_HEAD}{head}{times}{''.join(bodies)}{_TAIL}"}


def _tiers(facts: Facts, events: EventBlock) -> dict[str, tuple[str, list[tuple[int, int]]]]:
    """By a tier's name, its label, and the begin and end in milliseconds of its annotations, none of which overlap.

    What overlaps in one stream and label is in further tiers, whose names have a number.
    """
    tiers: dict[str, tuple[str, list[tuple[int, int]]]] = {}
    lanes: list[str] = []
    before: tuple[int, int] | None = None
    for number in np.lexsort((events.offset, events.onset, events.label, events.stream)).tolist():
        which = int(events.stream[number]), int(events.label[number])
        label = _xml(facts["labels"][which[1]])
        if which != before:
            lanes, before = [], which
        onset = round(1000 * float(events.onset[number]))
        offset = max(round(1000 * float(events.offset[number])), onset + 1)
        lane = next((lane for lane in lanes if tiers[lane][1][-1][1] <= onset), None)
        if lane is None:
            lane = next(name for name in _lane_names(f"{STREAMS[which[0]]}: {label}", len(lanes)) if name not in tiers)
            lanes.append(lane)
            tiers[lane] = (label, [])
        tiers[lane][1].append((onset, offset))
    return tiers


def _lane_names(name: str, lanes: int) -> Iterator[str]:
    if not lanes:
        yield name
    yield from (f"{name} ({number})" for number in count(lanes + 1))


def _xml(text: str) -> str:
    """What XML can hold: U+FFFE and U+FFFF it cannot."""
    return escaped(text).replace("\ufffe", "\\ufffe").replace("\uffff", "\\uffff")


def read_eaf(text: str) -> Iterator[ClipEvent]:
    """Annotations that have times, of tiers of any name; a tier's name may begin with a stream and a colon.

    Raises:
        ScoreError: it is no EAF, or an annotation has no times.
    """
    root = _root(text)
    times = {slot.get("TIME_SLOT_ID"): slot.get("TIME_VALUE") for slot in root.iter("TIME_SLOT")}
    for tier in root.iter("TIER"):
        name = tier.get("TIER_ID", "")
        stream = next((each for each in STREAMS if name == each or name.startswith(f"{each}:")), "")
        for annotation in tier.iter("ALIGNABLE_ANNOTATION"):
            label = annotation.findtext("ANNOTATION_VALUE", "")
            ends = [times.get(annotation.get(f"TIME_SLOT_REF{end}")) for end in (1, 2)]
            if not all(end is not None and end.isdecimal() for end in ends):
                where = f"{shown(label)} in tier {shown(name)}"
                raise ScoreError(f"annotation {where} has no times: align it, or take it out")
            onset, offset = (int(str(end)) / 1000 for end in ends)
            if label:  # what is empty was not filled in
                yield ClipEvent(stream, label, onset, offset)


def _root(text: str) -> Any:
    if "<!ENTITY" in text:
        raise ScoreError("it defines entities, which no EAF does: save it in ELAN again")
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError, RecursionError) as error:
        raise ScoreError(f"it is no XML ({error}): save it in ELAN again") from error
    if root.tag != "ANNOTATION_DOCUMENT":
        raise ScoreError(f"it is XML of {shown(root.tag)}, no EAF: save it in ELAN again")
    return root


EAF = Format(
    "eaf",
    write_clip=write_eaf,
    read_list=clip_reader(".eaf", read_eaf),
    ending=".eaf",
    sorted_by_clip=True,
    has_scores=False,
)

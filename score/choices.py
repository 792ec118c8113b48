"""Streams, methods, fusions and decisions: their names, and the numbers that stand for them in arrays and kernels."""

from typing import Final

VISUAL: Final = 0
AUDIO: Final = 1
AUDIOVISUAL: Final = 2
KERNEL_STREAMS = ("visual", "audio", "audiovisual")
"""Streams by number, as kernels and timelines have them."""
STREAMS = ("audiovisual", "visual", "audio")
"""Streams in the order in which people are shown them; an event's ``stream_number`` counts in it."""

NAIVE: Final = 0
COSINE: Final = 1
BBSE: Final = 2
BBSE_COSINE: Final = 3
METHODS = ("naive", "cosine", "bbse", "bbse-cosine")
"""Methods of label shift by number (docs/design.md 4.4)."""

EARLY: Final = 0
LATE: Final = 1
FUSIONS = ("early", "late")
"""Fusions by number (4.7)."""

THRESHOLD: Final = 0
ARGMAX: Final = 1
DECISIONS = ("threshold", "argmax")
"""Decisions of refinement by number (4.6)."""

SOUNDS = ("clip", "windows", "segments")
"""What a segment's sound is (4.3): the whole clip's, that of the 2-segment windows that hold it, its own."""

MIXED: Final = "mixed"
JOINT: Final = "joint"
AUDIOVISUALS = (MIXED, JOINT)
"""What the audiovisual stream is read from (4.3): picture and sound, mixed by alpha; one embedding of both at once."""

LABELS: Final = 0
FIRST_EVENT: Final = 1
ONE_LABEL: Final = 2
READINGS = ("labels", "first-event", "one-label")
"""How predictions are read where they are measured (4.8): every event of every stream; the first audiovisual event, and
one label a segment; one label a segment alone."""

NOTHING: Final = -1
"""The label of a segment that has none."""
NO_ROW: Final = -2
"""That of a row of annotations that a clip does not have."""

MOST_SEGMENTS = 64
"""Segments a clip may have: a timeline is a bitmask of one word."""

"""The truth about the clips as files in LLP's layout: tab-separated, one event a line, whole seconds."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from extract.demo.script import Script
from feature_cache.storage.atomic import write_outputs

AUDIO, VISUAL = "AVVP_eval_audio.csv", "AVVP_eval_visual.csv"
SPLIT_FILES = {"val": "AVVP_val_pd.csv", "test": "AVVP_test_pd.csv"}
FILES = (AUDIO, VISUAL, *SPLIT_FILES.values())


def write_annotations(folder: Path, scripts: Mapping[str, Sequence[Script]]) -> None:
    """Write the four files: events heard and events seen of all splits, and the labels of each split's clips.

    `scripts` maps a split ("val", "test") to its clips. Clips without an event of a kind have no line there.
    """
    every = [script for split in scripts.values() for script in split]
    header = "filename\tonset\toffset\tevent_labels"
    heard = [
        f"{script.clip_id}\t{onset}\t{offset}\t{happening.label}"
        for script in every
        for happening in script.happenings
        for onset, offset in happening.heard
    ]
    seen = [
        f"{script.clip_id}\t{onset}\t{offset}\t{happening.label}"
        for script in every
        for happening in script.happenings
        for onset, offset in happening.seen
    ]
    _write(folder / AUDIO, [header, *heard])
    _write(folder / VISUAL, [header, *seen])
    for split, clips in scripts.items():
        lines = [f"{script.clip_id}\t{','.join(script.labels)}" for script in clips]
        _write(folder / SPLIT_FILES[split], ["filename\tevent_labels", *lines])


def _write(path: Path, lines: Sequence[str]) -> None:
    write_outputs({path: "\n".join(lines) + "\n"})

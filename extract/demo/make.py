"""Making the demo: clips of both splits, their labels and their annotations, in one folder."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from extract.demo.annotations import FILES, write_annotations
from extract.demo.clips import SIZE, make_clip
from extract.demo.note import MADE_BY, files_of, is_noted, notes_beside, write_note
from extract.demo.script import FIRST_TRAINING_SEED, SPLITS, Script, write_scripts
from extract.demo.things import DEMO_LABELS
from extract.errors import ExtractError
from extract.run.processes import in_processes
from feature_cache.storage.atomic import write_outputs

_LARGEST_SIDE = 1024
_Job = tuple[Script, Path, tuple[int, int]]


@dataclass(frozen=True)
class DemoPaths:
    """Where a demo lies: folders of clips and annotations, the label file, the note of what was made."""

    videos: Path
    annotations: Path
    labels: Path
    note: Path

    @classmethod
    def below(cls, directory: Path) -> "DemoPaths":
        """The demo's places in a folder."""
        videos, annotations = directory / "videos", directory / "annotations"
        return cls(videos, annotations, videos / "labels.txt", notes_beside(videos)[0])


def demo_there(directory: Path | str) -> DemoPaths | None:
    """A demo that lies in a folder, whole; None if there is none."""
    paths = DemoPaths.below(Path(directory))
    made = files_of(paths.note)
    return paths if made and all((paths.videos.parent / name).is_file() for name in made) else None


def make_demo(
    directory: Path | str,
    *,
    clips_per_split: int = 48,
    seed: int = 0,
    size: tuple[int, int] = SIZE,
    progress: Callable[[int, int], None] | None = None,
    overwrite: bool = False,
    workers: int | None = None,
) -> DemoPaths:
    """Make clips of 10 s with known events: *.mp4, labels.txt and demo.json in `directory`/videos, and annotations.

    A clip's file is there whole or not at all; the same call goes on where an earlier one was ended.

    Args:
        directory: made if it is not there.
        clips_per_split: clips for validation, and as many for test, 1…999.
        seed: equal seeds give equal clips; from 0 to 2^32 − 1 (training uses larger ones).
        size: width and height of the pictures in px, even, 64…1024.
        progress: called with (clips made, clips in all), at first with 0 made.
        overwrite: replace an earlier demo in `directory`.
        workers: processes; None for one a CPU core, at most 8. 1 works in this process.

    Raises:
        ExtractError: a value out of range, an earlier demo without `overwrite`, or files of the same names
            that no demo made (those are never touched).

    Example:
        >>> made = make_demo("try", clips_per_split=8)
        >>> made.videos
    """
    _check(clips_per_split, seed, size, workers)
    paths = DemoPaths.below(Path(directory))
    scripts = {split: write_scripts(split, clips_per_split, seed) for split in SPLITS}
    jobs = [(script, paths.videos / f"{script.clip_id}.mp4", size) for clips in scripts.values() for script in clips]
    targets = [*(path for _, path, _ in jobs), paths.labels, *(paths.annotations / name for name in FILES)]
    files = [path.relative_to(paths.videos.parent).as_posix() for path in targets]
    facts = {"seed": seed, "clips_per_split": clips_per_split, "size": size}
    begun = not overwrite and is_noted(paths.note, files, **facts) and not all(path.exists() for path in targets)
    if not begun:
        _clear(paths, targets, overwrite)

    paths.videos.mkdir(parents=True, exist_ok=True)
    paths.annotations.mkdir(parents=True, exist_ok=True)
    write_note(paths.note, files, **facts)
    write_outputs({paths.labels: "\n".join(DEMO_LABELS) + "\n"})
    write_annotations(paths.annotations, scripts)
    report = progress or (lambda done, total: None)
    todo = [job for job in jobs if not job[1].exists()]
    done = len(jobs) - len(todo)
    report(done, len(jobs))

    def made(_: int, count: int) -> None:
        nonlocal done
        done += count
        report(done, len(jobs))

    _make(todo, workers or min(8, os.cpu_count() or 1), made)
    return paths


def _make(jobs: Sequence[_Job], workers: int, made: Callable[[int, int], None]) -> None:
    """Make the clips; ``made`` is called with the number of a process and of clips that are made since."""
    if workers == 1 or len(jobs) < 4:
        _make_some(jobs, lambda count: made(0, count))
        return
    count = min(workers, len(jobs))
    in_processes(_make_some, [(f"clips {number}", (jobs[number::count],)) for number in range(count)], made)


def _make_some(jobs: Sequence[_Job], say: Callable[[int], None]) -> None:
    for job in jobs:
        make_clip(*job)
        say(1)


def _check(clips_per_split: int, seed: int, size: tuple[int, int], workers: int | None) -> None:
    if not 1 <= clips_per_split <= 999:
        raise ExtractError(f"clips per split must be from 1 to 999, not {clips_per_split}")
    if not 0 <= seed < FIRST_TRAINING_SEED:
        raise ExtractError(f"the demo's seed must be from 0 to {FIRST_TRAINING_SEED - 1}, not {seed}")
    if any(side % 2 or not 64 <= side <= _LARGEST_SIDE for side in size):
        raise ExtractError(f"the demo's pictures must be even and 64 to {_LARGEST_SIDE} px a side, not {size}")
    if workers is not None and workers < 1:
        raise ExtractError(f"workers must be 1 or more, not {workers}")


def _clear(paths: DemoPaths, targets: Sequence[Path], overwrite: bool) -> None:
    """Make room: an earlier demo's files go if that is wanted; anybody else's stay, and stop the work."""
    root = paths.videos.parent
    notes = notes_beside(paths.videos)
    own = {name for note in notes for name in files_of(note)}
    for path in (root, paths.videos, paths.annotations):
        if path.exists() and not path.is_dir():
            raise ExtractError(f"{path} is a file: the demo needs a folder there; choose another place with -o")
    foreign = [path for path in targets if path.exists() and path.relative_to(root).as_posix() not in own]
    foreign += [note for note in notes if note.exists() and not files_of(note)]
    if foreign:
        raise ExtractError(f"{foreign[0]} is there and was not made by `{MADE_BY}`: choose another folder with -o DIR")
    if not own:
        return
    if not overwrite:
        raise ExtractError(f"{root} holds a demo already: use it, or make it again with `overwrite=True`")
    for path in (*(root / name for name in own), *notes):
        path.unlink(missing_ok=True)

"""Data sets, and what is truly seen and heard in their clips. A data set is one file here and one line below."""

from collections.abc import Iterable
from os import PathLike
from pathlib import Path

from score.datasets.annotations import Annotations, Truth
from score.datasets.ave import AVE
from score.datasets.base import DATASETS, Dataset, find_dataset
from score.datasets.events import EVENTS, read_truth
from score.datasets.llp import LLP
from score.datasets.ov_avebench import OV_AVEBENCH
from score.datasets.unav import UNAV_100
from score.errors import AnnotationError

DATASETS.update({dataset.name: dataset for dataset in (LLP, AVE, OV_AVEBENCH, UNAV_100, EVENTS)})

__all__ = ["DATASETS", "Annotations", "Dataset", "Truth", "find_dataset", "read_annotations"]


def read_annotations(
    dataset: str,
    folder: str | PathLike[str],
    split: str | None = None,
    *,
    clips: str | PathLike[str] | Iterable[str] | None = None,
    stream: str | None = None,
    collar: float | None = None,
) -> Annotations:
    """Read a data set's own annotation files, or a file of events of your own.

    Args:
        dataset: its name: "llp" (AVVP_eval_audio.csv, AVVP_eval_visual.csv, AVVP_<split>_pd.csv), "ave"
            (Annotations.txt with <split>Set.txt, or <split>_AVE.json), "ov-avebench" (its three files), "unav-100"
            (unav100_annotations.json, or any JSON file of ActivityNet's form) or "events".
        folder: the folder that holds them; for "ave" also Annotations.txt or a JSON file itself, for "unav-100" the
            file; for "events" a file of any format that is read.
        split: "train", "val" or "test", by default the last; a file of events has none.
        clips: for "events", clips that are annotated beside those with events, or a text file of them.
        stream: for "events", the stream of events for which the file names none; by default "audiovisual".
        collar: for "events", seconds by which a found event may begin elsewhere than a true one (0.2 by default), where
            such a tolerance is a part of the figure.

    Raises:
        AnnotationError: a file is missing or damaged, or the data set or split is unknown.

    Example:
        >>> val = read_annotations("llp", "LLP/annotations", split="val")
        >>> len(val.clip_ids)
        649
    """
    known = find_dataset(dataset)
    path = Path(folder)
    if dataset == EVENTS.name:
        if split is not None:
            raise AnnotationError(f"split {split!r}: a file of events has none, leave it out")
        return Annotations(kind=dataset, split="", **read_truth(path, clips, stream, collar))
    if not (clips is None and stream is None and collar is None):
        given = "clips" if clips is not None else "stream" if stream is not None else "collar"
        raise AnnotationError(f"`{given}` is for annotations in a file of events, {known.title}'s files say it all")
    split = "test" if split is None else split
    if split not in known.splits:
        raise AnnotationError(f"no split {split!r}: there are {', '.join(known.splits)}")
    if not path.exists():
        raise AnnotationError(f"{path} is not there: name the folder of the {known.title} annotation files")
    found = Annotations(kind=dataset, split=split, **known.read(path, split))
    if not found.clip_ids:
        raise AnnotationError(f"{path}: the {split} split has no clips: write them into its file")
    return found

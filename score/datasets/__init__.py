"""Data sets, and what is truly seen and heard in their clips. A data set is one file here and one line below."""

from os import PathLike
from pathlib import Path

from score.datasets.annotations import Annotations, Truth
from score.datasets.ave import AVE
from score.datasets.base import DATASETS, Dataset, find_dataset
from score.datasets.llp import LLP
from score.datasets.ov_avebench import OV_AVEBENCH
from score.errors import AnnotationError

DATASETS.update({dataset.name: dataset for dataset in (LLP, AVE, OV_AVEBENCH)})

__all__ = ["DATASETS", "Annotations", "Dataset", "Truth", "find_dataset", "read_annotations"]


def read_annotations(dataset: str, folder: str | PathLike[str], split: str = "test") -> Annotations:
    """Read a data set's own annotation files.

    Args:
        dataset: its name: "llp" (AVVP_eval_audio.csv, AVVP_eval_visual.csv, AVVP_<split>_pd.csv) or "ave"
            (Annotations.txt with <split>Set.txt, or <split>_AVE.json).
        folder: the folder that holds them; for "ave" also Annotations.txt or a JSON file itself.
        split: "train", "val" or "test".

    Raises:
        AnnotationError: a file is missing or damaged, or the data set or split is unknown.

    Example:
        >>> val = read_annotations("llp", "LLP/annotations", split="val")
        >>> len(val.clip_ids)
        649
    """
    known = find_dataset(dataset)
    if split not in known.splits:
        raise AnnotationError(f"no split {split!r}: there are {', '.join(known.splits)}")
    path = Path(folder)
    if not path.exists():
        raise AnnotationError(f"{path} is not there: name the folder of the {known.title} annotation files")
    found = Annotations(kind=dataset, split=split, **known.read(path, split))
    if not found.clip_ids:
        raise AnnotationError(f"{path}: the {split} split has no clips: write them into its file")
    return found

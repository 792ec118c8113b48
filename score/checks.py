"""What compiled code may be given: it trusts shapes and dtypes, and reads or writes elsewhere where they are others."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_cache import Features, TextSet, window_count
from feature_cache.layout import NO_PICTURE, NO_SOUND
from score.choices import MOST_SEGMENTS, NO_ROW
from score.errors import ScoreError


def check_array(name: str, values: Any, shape: Sequence[int | None], kinds: str | type[np.generic]) -> None:
    """Refuse what is no array of a shape and dtype.

    Args:
        name: of the array, for errors.
        values: it.
        shape: expected; None where any length will do.
        kinds: letters of kinds of dtypes ("f": any float), or the one dtype.

    Raises:
        ScoreError: it is another one, or none; names both.

    Example:
        >>> check_array("image", np.zeros((2, 10, 512)), (2, 10, None), "f")
        >>> check_array("true", np.zeros((2, 3, 25), np.uint64), (2, 3, 25), np.uint64)
    """
    there = isinstance(values, np.ndarray)
    fits = there and len(values.shape) == len(shape)
    fits = fits and all(wanted in (None, length) for length, wanted in zip(values.shape, shape, strict=True))
    of_kind = there and (values.dtype.kind in kinds if isinstance(kinds, str) else values.dtype == kinds)
    if fits and of_kind:
        return
    found = f"{values.dtype} {values.shape}" if there else type(values).__name__
    lengths = ", ".join("any" if length is None else str(length) for length in shape)
    what = ("floats" if kinds == "f" else "whole numbers") if isinstance(kinds, str) else np.dtype(kinds).name
    raise ScoreError(f"{name} is {found}, expected {what} ({lengths}{',' if len(shape) == 1 else ''})")


def check_segments(segments: int) -> None:
    """Refuse clips whose timeline does not fit.

    Raises:
        ScoreError: fewer than 2 segments a clip, or more than 64.
    """
    if segments > MOST_SEGMENTS:
        raise ScoreError(f"clips of {segments} segments: at most {MOST_SEGMENTS} can be scored")
    if segments < 2:
        raise ScoreError(f"clips of {segments} segments: at least 2 are needed")


def check_text(text: TextSet) -> None:
    """Refuse a text set whose tables have not a row for each label.

    Raises:
        ScoreError: so.
    """
    for side in ("visual", "audio"):
        check_array(f"text set {text.name!r}: {side}", getattr(text, side), (len(text.labels), None), "f")


def check_features(features: Features, text: TextSet, segments: int | None = None) -> None:
    """Refuse features that contradict themselves or a text set.

    Args:
        features: of n clips.
        text: C labels; its tables are compared where there are embeddings.
        segments: T; None: as the features have it.

    Raises:
        ScoreError: an array's shape or dtype is another than the others need.
    """
    check_text(text)
    check_array("rows", features.rows, (None,), "iu")
    n, labels = len(features.rows), len(text.labels)
    check_array("image", features.image, (n, segments, None), "f")
    segments = features.image.shape[1]
    check_segments(segments)
    if features.missing is not None:
        check_array("missing", features.missing, (n,), np.uint8)
        if not np.isin(features.missing, (0, NO_PICTURE, NO_SOUND)).all():
            raise ScoreError(f"missing holds {features.missing.max()}, expected 0, {NO_PICTURE} or {NO_SOUND}")
    seen, heard = features.visual_probability, features.audio_probability
    if (seen is None) != (heard is None):
        raise ScoreError(f"{'audio' if heard is None else 'visual'} probabilities are missing beside the others")
    if seen is not None:
        check_array("visual_probability", seen, (n, segments, labels), "f")
        check_array("audio_probability", heard, (n, segments, labels), "f")
        return
    visual_dim, audio_dim = text.visual.shape[1], text.audio.shape[1]
    check_array("image", features.image, (n, segments, visual_dim), "f")
    check_array("video", features.video, (n, None, None, visual_dim), "f")
    check_array("audio", features.audio, (n, None, audio_dim), "f")
    some = {"video": features.video.shape[1], "audio": features.audio.shape[1]}
    for name, windows in some.items():
        if windows not in (0, 1, window_count(segments)):
            raise ScoreError(
                f"{name} has {windows} windows, expected {window_count(segments)} for {segments} segments, 1 or none"
            )
    if features.video.shape[1] and not features.video.shape[2]:
        raise ScoreError("video has no frames")
    if features.audio_segments is not None:
        check_array("audio_segments", features.audio_segments, (n, segments, audio_dim), "f")
    elif not features.audio.shape[1]:
        raise ScoreError("there is no sound, neither a window nor a segment")


def check_joint(features: Features, text: TextSet) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """Joint embeddings of n clips, (n, W, Dj), and those of C labels to compare them with, (C, Dj).

    Args:
        features: that fit, as :func:`check_features` has it.
        text: C labels.

    Raises:
        ScoreError: there are none, they do not fit, or a window's is not there.
    """
    if features.joint is None or text.joint is None:
        what = "features" if features.joint is None else f"text set {text.name!r}"
        raise ScoreError(f"there are no joint embeddings in the {what}: use `audiovisual='mixed'`")
    n, segments = features.image.shape[:2]
    check_array(f"text set {text.name!r}: joint", text.joint, (len(text.labels), None), "f")
    check_array("joint", features.joint, (n, window_count(segments), text.joint.shape[1]), "f")
    return features.joint, text.joint


def check_windows(segments: int, video: int, audio: int) -> None:
    """Refuse to score by windows, which events' scores need without refinement, too, where one is not there.

    Args:
        segments: T.
        video: windows that there are of the picture.
        audio: of the sound.

    Raises:
        ScoreError: not all are there.
    """
    if min(video, audio) < window_count(segments):
        raise ScoreError(
            f"{min(video, audio)} of {window_count(segments)} windows are there: score with `pooled_windows=True`"
        )


def check_classes(classes: NDArray[Any], group: NDArray[Any], shape: tuple[int, int, int]) -> None:
    """Refuse one label a segment that is not of the clips, segments and labels it is compared with.

    Args:
        classes: int64 (n, R, T).
        group: int64 (n,).
        shape: n, T and C.

    Raises:
        ScoreError: an array is another, or holds what is no label or no group.
    """
    clips, segments, labels = shape
    check_array("classes", classes, (clips, None, segments), np.int64)
    check_array("group", group, (clips,), np.int64)
    if classes.size and not NO_ROW <= classes.min() <= classes.max() < labels:
        raise ScoreError(f"classes hold {classes.min()} to {classes.max()}, which are none of {labels} labels")
    if group.size and group.min() < 0:
        raise ScoreError(f"group holds {group.min()}")


def check_truth(true: NDArray[Any], first: NDArray[Any], order: NDArray[Any], shape: tuple[int, int]) -> None:
    """Refuse a truth that is not of the clips and labels it is compared with.

    Args:
        true: uint64 (n, 3, C).
        first: int64 (n, 3).
        order: int64 (C,), each label once.
        shape: n and C.

    Raises:
        ScoreError: an array is another.
    """
    clips, labels = shape
    check_array("true", true, (clips, 3, labels), np.uint64)
    check_array("first", first, (clips, 3), np.int64)
    check_array("label_order", order, (labels,), np.int64)
    if not np.array_equal(np.sort(order), np.arange(labels)):
        raise ScoreError("label_order is no order of the labels")

"""What reaches compiled code: arrays that contradict each other are refused in a line, wherever they come from."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from feature_cache import Features, TextSet, window_count
from score.bootstrap import confidence_intervals
from score.config import ScoreConfig
from score.errors import ScoreError
from score.kernels import jit
from score.kernels.scorer import Scorer
from score.logits import alphabetical, make_logits
from score.rules.base import Split

N, T, C = 3, 4, 5
W = window_count(T)
CONFIG = ScoreConfig(0.5, 0.5, 0.6, 0.5, 1.0)


def some(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def features(**changes: Any) -> Features:
    arrays: dict[str, Any] = {
        "rows": np.arange(N),
        "image": some(N, T, 8),
        "video": some(N, W, 2, 8),
        "audio": some(N, W, 6),
    }
    return Features(**{**arrays, **changes})


def text(**changes: Any) -> TextSet:
    whole = TextSet("x", tuple(f"l{k}" for k in range(C)), some(C, 8), some(C, 6), {})
    return replace(whole, **changes)


def unit(*shape: int) -> NDArray[np.float32]:
    return np.abs(some(*shape)) % 1


WRONG: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({}, {"visual": some(C, 16)}, "image is float32 (3, 4, 8), expected floats (3, 4, 16)"),
    (
        {},
        {"audio": some(C, 60)},
        "audio is float32 (3, 10, 6)".replace("10", str(W)) + ", expected floats (3, any, 60)",
    ),
    ({}, {"visual": some(C - 1, 8)}, "text set 'x': visual is float32 (4, 8), expected floats (5, any)"),
    ({}, {"audio": some(C + 1, 6)}, "text set 'x': audio is float32 (6, 6), expected floats (5, any)"),
    ({}, {"audio": np.zeros((C, 6), dtype=int)}, "text set 'x': audio is int64 (5, 6), expected floats"),
    ({"image": some(N, 40, 8)}, {}, "image is float32 (3, 40, 8), expected floats (3, 4, any)"),
    ({"image": some(100, T, 8)}, {}, "image is float32 (100, 4, 8), expected floats (3, 4, any)"),
    ({"image": some(N, T, 80)}, {}, "image is float32 (3, 4, 80), expected floats (3, 4, 8)"),
    ({"image": some(N, 8)}, {}, "image is float32 (3, 8), expected floats (3, 4, any)"),
    ({"image": np.ones((N, T, 8), dtype=int)}, {}, "image is int64 (3, 4, 8), expected floats"),
    ({"image": [[1.0]]}, {}, "image is list, expected floats"),
    ({"video": some(1, W, 2, 8)}, {}, "expected floats (3, any, any, 8)"),
    ({"video": some(N, 2, 2, 8)}, {}, "video has 2 windows"),
    ({"video": some(N, 1, 2, 8)}, {}, "windows are there: score with `pooled_windows=True`"),
    ({"video": some(N, W, 0, 8)}, {}, "video has no frames"),
    ({"audio": some(N, 1, 6)}, {}, "windows are there: score with `pooled_windows=True`"),
    ({"audio": some(N, 0, 6)}, {}, "there is no sound"),
    ({"audio_segments": some(N, 2, 6)}, {}, "audio_segments is float32 (3, 2, 6), expected floats (3, 4, 6)"),
    ({"missing": np.zeros(1, np.uint8)}, {}, "missing is uint8 (1,), expected uint8 (3,)"),
    ({"missing": np.full(N, 77, np.uint8)}, {}, "missing holds 77, expected 0, 1 or 2"),
    ({"missing": np.full(N, 0.5)}, {}, "missing is float64 (3,), expected uint8 (3,)"),
    ({"rows": np.arange(300)}, {}, "image is float32 (3, 4, 8), expected floats (300, 4, any)"),
    ({"visual_probability": unit(N, T, C)}, {}, "audio probabilities are missing"),
    ({"visual_probability": unit(N, T, 9), "audio_probability": unit(N, T, 9)}, {}, "expected floats (3, 4, 5)"),
    ({"visual_probability": unit(N, T, C), "audio_probability": unit(N, 2, C)}, {}, "expected floats (3, 4, 5)"),
    ({"visual_probability": unit(1, T, C), "audio_probability": unit(N, T, C)}, {}, "expected floats (3, 4, 5)"),
]


@pytest.mark.parametrize(("changes", "of_text", "message"), WRONG)
def test_features_that_contradict(changes: dict[str, Any], of_text: dict[str, Any], message: str) -> None:
    with pytest.raises(ScoreError) as caught:
        Scorer(CONFIG, text(**of_text), T).score(features(**changes))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"image": some(N, 40, 8)},
        {"audio": some(N, 0, 6)},
        {"missing": np.full(N, 9, np.uint8)},
        {"visual_probability": unit(N, T, 9), "audio_probability": unit(N, T, 9)},
    ],
)
def test_a_search_refuses_them_too(changes: dict[str, Any]) -> None:
    with pytest.raises(ScoreError):
        make_logits(features(**changes), text(), "clip")


@pytest.mark.parametrize("segments", [-1, 0, 1, 65, 10**9])
def test_timelines_that_no_word_holds(segments: int) -> None:
    with pytest.raises(ScoreError, match=r"segments: at (most 64|least 2)"):
        Scorer(CONFIG, text(), segments)


def test_batches_of_other_windows_and_frames() -> None:
    """Working memory is of the batch that it is used for."""
    plain = replace(CONFIG, pooled_windows=True)
    first, second = features(), features(video=some(N, 1, 9, 8), audio=some(N, 1, 6))
    used = Scorer(plain, text(), T)
    for each in (first, second, first):
        for ours, fresh in zip(used.score(each), Scorer(plain, text(), T).score(each), strict=True):
            np.testing.assert_array_equal(ours, fresh)


def test_float16_and_float64_are_taken() -> None:
    double = features(**{name: getattr(features(), name).astype(np.float64) for name in ("image", "video", "audio")})
    half = features(**{name: getattr(features(), name).astype(np.float16) for name in ("image", "video", "audio")})
    one, other = Scorer(CONFIG, text(), T).score(features()), Scorer(CONFIG, text(), T).score(double)
    for ours, theirs in zip(one, other, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert len(Scorer(CONFIG, text(), T).score(half)[0]) == N


@pytest.mark.parametrize(
    "changes",
    [
        {"true": np.zeros((N, 3, C + 1), np.uint64)},
        {"true": np.zeros((N, 3, C), np.int64)},
        {"first": np.zeros((N - 1, 3), np.int64)},
        {"classes": np.zeros((N, 1, T + 1), np.int64)},
        {"classes": np.full((N, 1, T), C)},
        {"group": np.full(N, -1)},
        {"label_order": np.array([0, 1, 2, 3, 50])},
        {"segments": 65},
        {"segments": T + 1},
    ],
)
def test_a_truth_of_other_clips(changes: dict[str, Any]) -> None:
    whole: dict[str, Any] = {
        "logits": make_logits(features(), text(), "clip"),
        "true": np.zeros((N, 3, C), np.uint64),
        "first": np.full((N, 3), -1),
        "label_order": alphabetical(text().labels),
        "segments": T,
        "classes": np.zeros((N, 0, T), np.int64),
        "group": np.zeros(N, np.int64),
        "background": -1,
        "thread_bytes": 1 << 20,
    }
    assert len(Split(**whole)) == N
    with pytest.raises(ScoreError):
        Split(**{**whole, **changes})


@pytest.mark.parametrize("values", [np.zeros((0, 3)), np.zeros(3), np.zeros((2, 3), dtype=object)])
def test_intervals_of_nothing(values: NDArray[Any]) -> None:
    with pytest.raises(ScoreError):
        confidence_intervals(values, resamples=10)


# --- bounds ---------------------------------------------------------------------------------------------------

_COMPILED = [
    f"tests/score/test_{name}.py"
    for name in (
        "kernels", "kernel_edges", "scoring", "golden_scoring", "metrics", "search", "search_memory", "cache_kinds",
        "traces", "unav", "comparison", "segment_rules", "scope", "lasso",
    )
]  # fmt: skip
_OUT_OF_BOUNDS = """
import numpy as np
from pathlib import Path
from score.kernels import jit
@jit.lean
def read(values, place):
    return values[place]
try:
    read(np.zeros(3), 7)
    print("read")
except IndexError:
    print("refused")
print(jit.kept_in(Path(jit.__file__).with_name("f1.py")))
"""


@pytest.mark.skipif("NUMBA_BOUNDSCHECK" in os.environ, reason="all code is checked")
def test_checked_code_is_kept_elsewhere() -> None:
    """With NUMBA_BOUNDSCHECK, kernels notice; and theirs are never taken for those of every day."""
    environment = {**os.environ, "NUMBA_BOUNDSCHECK": "1"}
    done = subprocess.run(
        [sys.executable, "-c", _OUT_OF_BOUNDS], env=environment, capture_output=True, text=True, check=True
    )
    said, folder = done.stdout.splitlines()
    assert said == "refused"
    file = Path(jit.__file__).with_name("f1.py")
    kept = jit.kept_in(file)
    assert kept is not None
    assert Path(folder).name == kept.name
    assert Path(folder).parent.name != kept.parent.name == jit.sources_digest(jit.sources_of(file))


@pytest.mark.slow
def test_kernels_with_checks_of_bounds(tmp_path: Path) -> None:
    """What calls compiled code once more, with every index compared with its array."""
    environment = {**os.environ, "NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path / "kernels")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *_COMPILED, "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist"],
        env=environment, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    assert list((tmp_path / "kernels").rglob("*.nbi"))

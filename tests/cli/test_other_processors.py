"""The code paths that other processors take: what holds here on any machine holds on theirs.

PyTorch, MKL, oneDNN, OpenBLAS and Numba choose instructions by the processor, and can be told to take other ones than
the best; where there are none to choose from, the tests run as they always do.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.golden_scoring import NAMES

ROOT = Path(__file__).parents[2]
ENCODING = (
    "language_bind_sound", "language_bind_frames", "language_bind_towers", "language_bind_loading", "preprocess",
    "sampling", "backbones", "clap_from_laion", "language_bind_backbone", "extract", "long_files", "demo_tiny",
)  # fmt: skip
SCORING = ("kernels", "scoring", "golden_scoring", "metrics", "search", "missing", "cache_kinds", "segment_rules")
WITH_BLAS = ("golden_scoring", "metrics", "missing")  # no kernel calls it
PLAINEST = {"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE", "ONEDNN_MAX_CPU_ISA": "SSE41"}
SCORERS = [{"OPENBLAS_CORETYPE": "Haswell"}, {"NUMBA_CPU_NAME": "generic"}]
CASES = [
    *((ENCODING, condition) for condition in ({"ATEN_CPU_CAPABILITY": "avx2"}, PLAINEST)),
    *zip((WITH_BLAS, SCORING), SCORERS, strict=True),
]

pytestmark = pytest.mark.slow


def shown(value: object) -> str:
    return ",".join(value.values()) if isinstance(value, dict) else ""


def elsewhere(condition: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """Python as on another processor; nothing of the tests' own run is handed on."""
    here = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, *words]
    return subprocess.run(command, cwd=ROOT, env={**here, **condition}, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("names", "condition"), CASES, ids=shown)
def test_all_passes(names: tuple[str, ...], condition: dict[str, str]) -> None:
    files = [str(next(ROOT.glob(f"tests/*/test_{name}.py"))) for name in names]
    done = elsewhere(condition, "-m", "pytest", "-p", "no:cacheprovider", *files)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-1000:]
    assert " passed" in done.stdout or "[100%]" in done.stdout


_EVENTS = """
import sys
import numpy as np
from pathlib import Path
from score import score
from tests.golden_scoring import NAMES, GoldenSet, golden_config
tables, scores = [], []
for name in NAMES:
    golden = GoldenSet.load(name)
    cache = golden.make_cache(Path(sys.argv[1]) / f"{name}.zarr")
    for number, result in enumerate(golden.official["results"]):
        found = score(cache, golden_config(name, result["config"]))
        columns = [found.clip, found.stream_number, found.label, found.start, found.end]
        tables.append(np.stack([np.full(len(found.clip), number), *columns], axis=1))
        scores.append(found.score)
np.savez(Path(sys.argv[1]) / "events.npz", table=np.concatenate(tables), score=np.concatenate(scores))
"""


def test_events_are_equal(tmp_path: Path) -> None:
    """All of them, of every golden configuration, in order. A score's exponential is the system's: a last digit."""
    found = []
    for number, condition in enumerate([{}, *SCORERS]):
        folder = tmp_path / str(number)
        folder.mkdir()
        done = elsewhere(condition, "-c", _EVENTS, str(folder))
        assert done.returncode == 0, done.stderr
        with np.load(folder / "events.npz") as file:
            found.append((file["table"], file["score"]))
    assert len(found[0][0]) > 1000 * len(NAMES)
    for table, score in found[1:]:
        np.testing.assert_array_equal(table, found[0][0])
        np.testing.assert_allclose(score, found[0][1], rtol=8 * np.finfo(np.float64).eps, atol=0)

"""README.md: what it says to type works as it stands, with what a reader would have in its place."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.command import AV2A
from tests.golden_scoring import GoldenSet
from tests.media import make_video, tone

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(sh|python)\n(.*?)```", README, flags=re.DOTALL)
CLIPS = ("a_0_10", "b_0_10")
STAND_INS = (
    (r"^(make|pip) .*$", ""),  # looked at, not run
    (r"av2a (extract|text) ([^#\n]*)", r'av2a \1 \2 --checkpoint "$CHECKPOINT" '),  # no model hub
    (r"s3://bucket/talks\.zarr", "elsewhere.zarr"),
    (
        r"^av2a tune ([^#\n]*)",
        r"""av2a tune \1 --no-browser --port 0 > url & page=$!
until [ -s url ] || ! kill -0 $page; do sleep 0.1; done
[ -s url ] && kill $page #""",
    ),  # until it shows its address: a page ends when somebody ends it
)
"""What stands for what a test cannot have."""


def test_what_is_set_up() -> None:
    """Targets of make and extras of pip are there."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    used = set(re.findall(r"(?:^|`)make ([a-z-]+)", README, flags=re.MULTILINE))
    assert {"demo", "test", "test-slow"} <= used <= targets
    assert set(re.findall(r"\.\[([a-z]+)\]", README)) <= set(extras)
    assert len(README.splitlines()) < 150


def videos(folder: Path) -> None:
    folder.mkdir(parents=True)
    for number, clip in enumerate(CLIPS):
        make_video(
            folder / f"{clip}.mp4", frames=20, fps=2, sound=tone(10, 16_000, 1, 300.0 * (number + 1)), size=(64, 48)
        )


def own_videos(place: Path) -> None:
    videos(place / "my_videos")


def other_labels(place: Path) -> None:
    own_videos(place)
    (place / "other.txt").write_text("Cat\nDoor\n")
    run(
        'printf "Dog\\nYak\\n" > labels.txt; av2a extract my_videos --labels labels.txt --checkpoint "$CHECKPOINT"',
        place,
    )


def large(place: Path) -> None:
    videos(place / "talks")
    (place / "talks" / "labels.txt").write_text("Dog\nYak\n")
    rng = np.random.default_rng(0)
    for name, shape in (("clip", (2, 10, 8)), ("vggish", (2, 10, 6)), ("t", (3, 8)), ("s", (3, 6))):
        np.save(place / f"{name}.npy", rng.normal(size=shape).astype(np.float32))
    (place / "ids.txt").write_text("\n".join(CLIPS))
    (place / "llp.txt").write_text("Speech\nDog\nCar\n")


def settings(place: Path) -> None:
    GoldenSet.load("language_bind_llp").make_cache(place / "llp.zarr")
    (place / "LLP").mkdir()
    GoldenSet.write_annotations(place / "LLP" / "annotations")
    shutil.copyfile(place / "LLP/annotations/AVVP_test_pd.csv", place / "LLP/annotations/AVVP_val_pd.csv")


def looked_at(place: Path) -> None:
    other_labels(place)
    run("av2a score", place)


def data_sets(place: Path) -> None:
    videos(place / "LLP" / "videos")
    videos(place / "AVE" / "videos")
    run(
        "av2a extract AVE/videos --labels ave -o ave.zarr --checkpoint $CHECKPOINT; "
        "av2a score ave.zarr --decision argmax -o ave.json",
        place,
    )
    folder = place / "LLP" / "annotations"
    folder.mkdir()
    events = "filename\tonset\toffset\tevent_labels\na_0_10\t0\t4\tSpeech\n"
    for side in ("visual", "audio"):
        (folder / f"AVVP_eval_{side}.csv").write_text(events)
    (folder / "AVVP_test_pd.csv").write_text(
        "filename\tevent_labels\n" + "".join(f"{clip}\tSpeech\n" for clip in CLIPS)
    )
    rows = [f"Church bell&{clip}&good&0&5" for clip in CLIPS]
    (place / "AVE" / "Annotations.txt").write_text(
        "Category&VideoID&Quality&StartTime&EndTime\n" + "\n".join(rows) + "\n"
    )
    (place / "AVE" / "testSet.txt").write_text("\n".join(rows) + "\n")


def run(text: str, place: Path) -> None:
    environment = {**os.environ, "PATH": f"{AV2A.parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-e", "-c", text], cwd=place, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (text, done.stdout, done.stderr)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first_words", "prepare", "made"),
    [
        ("pip install '.[extract]'", own_videos, ("features.zarr", "events.json", "events.csv")),
        ("av2a text", other_labels, ("events.json",)),
        ("av2a extract talks", large, ("talks.zarr", "elsewhere.zarr", "features.zarr")),
        ("av2a score --merge-gap", other_labels, ("events.json", "scores", "cuts/cuts.csv")),
        ("pip install '.[view]'", looked_at, ("url", "report.html")),
        ("pip install '.[search]'", settings, ("search.zarr", "best.toml", "llp.json", "pictures")),
        ("from feature_cache import", settings, ()),
        ("av2a extract LLP/videos", data_sets, ("llp.json",)),
    ],
)
def test_a_block(
    first_words: str,
    prepare: Callable[[Path], None],
    made: tuple[str, ...],
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CHECKPOINT", str(checkpoint))
    kind, text = next((kind, text) for kind, text in BLOCKS if text.startswith(first_words))
    prepare(tmp_path)
    if kind == "python":
        subprocess.run([sys.executable, "-c", text], cwd=tmp_path, check=True)
        return
    for pattern, stand_in in STAND_INS:
        text = re.sub(pattern, stand_in, text, flags=re.MULTILINE)
    run(text, tmp_path)
    assert all((tmp_path / name).exists() for name in made), sorted(tmp_path.iterdir())


def test_every_block_is_run() -> None:
    known = ("make demo", "pip install '.[extract]'", "av2a text", "av2a extract talks", "av2a score --merge-gap",
             "pip install '.[view]'", "pip install '.[search]'", "from feature_cache import",
             "av2a extract LLP/videos")  # fmt: skip
    assert all(text.startswith(known) for _, text in BLOCKS)
    assert len(BLOCKS) == len(known)

"""The page of `av2a tune`: from a slider's move to events and figures on the screen, measured in the browser.

    python -m benchmarks.tune            # a minute: 1,200 clips x 25 labels, every rule
    python -m benchmarks.tune --quick    # a small run

The clips of benchmarks.search: LanguageBind's sizes. A real server, a real Chromium without a window, a slider that
is moved step by step; each step waits for the answer of the one before (``alone``), or does not, as in a fast drag
(``drag``: what is overtaken is dropped, what counts is the time to the newest answer). Times are the browser's own,
between the slider's event and the moment when the page has changed. Beside it a person's other way: `av2a score` and
`av2a evaluate` anew.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.machine import describe_machine, load
from benchmarks.search import make_clips
from score import Annotations
from score.rules import RULES

if TYPE_CHECKING:
    from playwright.sync_api import Page

AIM = (50.0, 100.0)
"""Milliseconds, in the median and at the 95th percentile."""
_SPANS = """() => {
  const begun = new Map();
  for (const mark of performance.getEntriesByName("av2a:changed")) begun.set(mark.detail.seq, mark.startTime);
  const found = {};
  for (const name of ["clip", "figures"]) {
    found[name] = performance.getEntriesByName(`av2a:shown-${name}`)
      .filter((mark) => begun.has(mark.detail.seq)).map((mark) => mark.startTime - begun.get(mark.detail.seq));
  }
  return found;
}"""
_SHOWN = """(n) => ["clip", "figures"].every(
  (name) => performance.getEntriesByName(`av2a:shown-${name}`).length > n
)"""
_MOVE = """([id, value]) => {
  const slider = document.getElementById(id);
  slider.value = value;
  slider.dispatchEvent(new Event("input", { bubbles: true }));
}"""


def write_annotations(truth: Annotations, folder: Path) -> None:
    """Annotations as LLP's files have them."""
    folder.mkdir()
    (folder / "AVVP_test_pd.csv").write_text("filename\tevent_labels\n" + "".join(f"{c}\tx\n" for c in truth.clip_ids))
    for name, side in (("visual", truth.visual), ("audio", truth.audio)):
        rows = [
            f"{clip}\t{onset:g}\t{offset:g}\t{label}" for clip, found in side.items() for label, onset, offset in found
        ]
        (folder / f"AVVP_eval_{name}.csv").write_text(
            "\n".join(["filename\tonset\toffset\tevent_labels", *rows]) + "\n"
        )


def measure(page: "Page", slider: str, moves: int, pause: float | None) -> dict[str, list[float]]:
    """Milliseconds of clip and figures, of moves of a slider.

    Args:
        page: that is open.
        slider: the id of its element.
        moves: how many.
        pause: milliseconds between them; None: until both are shown.
    """
    low, high = (float(page.locator(f"#{slider}").get_attribute(end) or 0) for end in ("min", "max"))
    page.evaluate("performance.clearMarks()")
    for move in range(moves):
        value = low + (high - low) * (0.3 + 0.4 * abs(2 * (move / moves % 1) - 1)) + (move % 3) * (high - low) / 500
        page.evaluate(_MOVE, [slider, round(value, 4)])
        if pause is None:
            page.wait_for_function(_SHOWN, arg=move)
        else:
            page.wait_for_timeout(pause)
    page.wait_for_timeout(500)
    found: dict[str, list[float]] = page.evaluate(_SPANS)
    return found


def shown(values: list[float]) -> str:
    """Median and 95th percentile, and whether they are what is aimed at."""
    middle, late = np.percentile(values, [50, 95])
    verdict = "" if middle <= AIM[0] and late <= AIM[1] else "   OVER THE AIM"
    return f"{middle:6.1f} ms median {late:6.1f} ms 95 % ({len(values)} shown){verdict}"


def by_hand(folder: Path) -> float:
    """Seconds of the other way: two commands, after each change."""
    command = [sys.executable, "-m", "av2a_cli"]
    began = time.perf_counter()
    for words in (
        ["score", "clips.zarr", "-o", "e.json"],
        ["evaluate", "e.json", "--annotations", "llp", "--dataset", "llp", "--split", "test"],
    ):
        subprocess.run([*command, *words], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small run")
    options = parser.parse_args()
    from tests.browser import SIZES, chromium
    from tests.view.live import tuning

    clips, moves = (60, 20) if options.quick else (1200, 150)
    print(describe_machine())
    print(f"load before: {load()} (over 0.5 or so, others are at work, and the figures are theirs too)")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cache, truth = make_clips(folder, clips)
        Path(cache.path).rename(folder / "clips.zarr")
        write_annotations(truth, folder / "llp")
        words = ("clips.zarr", "--annotations", "llp", "--dataset", "llp", "--split", "test", "--threads", 2)
        width, height = SIZES["laptop"]
        with tuning(*words, cwd=folder) as live, chromium() as browser:
            page = browser.new_page(viewport={"width": width, "height": height}, bypass_csp=True)  # to wait for marks
            page.goto(live.url)
            for rule in RULES:
                report(page, rule, moves)
        by_hand(folder)
        print(f"`av2a score` and `av2a evaluate` anew: {1e3 * by_hand(folder):,.0f} ms")
    print(f"load after: {load()}")


def report(page: "Page", rule: str, moves: int) -> None:
    """Measure and print a rule's slider."""
    page.locator("#rule").select_option(rule)
    page.wait_for_timeout(3000)  # compiled, and the split read
    slider = page.locator("#side input[type=range][id^=p-]").first.get_attribute("id") or ""
    measure(page, slider, 10, None)
    print(f"{rule}, {slider}")
    for how, pause in (("alone", None), ("drag, a move each 16 ms", 16.0)):
        found: dict[str, Any] = measure(page, slider, moves, pause)
        for what, values in found.items():
            print(f"    {how:24} {what:8} {shown(values)}")


if __name__ == "__main__":
    main()

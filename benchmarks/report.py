"""How large a report is, how long it takes to write, and how soon a browser shows its first clip.

``python -m benchmarks.report [--clips 1200] [--labels 25] [--events 10]``: made events, with truth, without videos.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import describe_machine, load
from score import Annotations, ScoreConfig
from score.events import Events
from score.view.report import write_report

SEGMENTS = 10
OPENED = 5
"""Times that a report is opened."""
FRAMES = """async () => {
  const view = document.querySelector(".clips-view"), gaps = [];
  let before = performance.now();
  for (let at = 0; at < 60; at++) {
    view.scrollTop += 700;
    await new Promise((resolve) => requestAnimationFrame(resolve));
    const now = performance.now();
    gaps.push(now - before);
    before = now;
  }
  return gaps.sort((a, b) => a - b);
}"""
TYPED = """async () => {
  const search = document.querySelector("input[type=search]"), began = performance.now();
  search.value = "1 label";
  search.dispatchEvent(new Event("input", { bubbles: true }));
  await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
  return performance.now() - began;
}"""


def made(clips: int, labels: int, events: int, rng: Any) -> Events:
    """Events at random, as many a clip on average."""
    n = clips * events
    start = rng.integers(0, SEGMENTS, n)
    clip = np.sort(rng.integers(0, clips, n)).astype(np.int32)
    return Events(
        config=ScoreConfig.published("clip_clap"),
        clip_ids=tuple(f"clip_{number:06d}_30_40" for number in range(clips)),
        labels=tuple(f"Label number {number}" for number in range(labels)),
        clip=clip,
        stream_number=rng.integers(0, 3, n).astype(np.int8),
        label=rng.integers(0, labels, n).astype(np.int32),
        start=start.astype(np.int16),
        end=(start + 1 + rng.integers(0, SEGMENTS - start)).astype(np.int16),
        score=rng.random(n),
        segments=SEGMENTS,
        segment_seconds=1.0,
        cache={"identity": "0" * 16, "backbone": "clip_clap", "text": "made"},
        left_out={},
    )


def as_truth(events: Events) -> Annotations:
    """The seen and heard ones of events as annotations."""
    found: dict[str, dict[str, list[tuple[str, float, float]]]] = {
        clip: {"visual": [], "audio": []} for clip in events.clip_ids
    }
    for each in events.records():
        if each["stream"] != "audiovisual":
            found[each["clip"]][each["stream"]].append((each["label"], each["onset"], each["offset"]))
    return Annotations.from_events(found)


def opened(report: Path) -> None:
    """Open a report in a browser, and say when its first clip stood there, and how the list moves."""
    from tests.browser import chromium, find_browser, page_of

    if find_browser() is None:
        print("no Chromium was found: nothing is opened (AV2A_BROWSER names it)")
        return
    with chromium() as browser:
        shown, gaps, typed = [], [], 0.0
        for _ in range(OPENED):
            with page_of(browser) as page:
                page.goto(report.as_uri())
                while not page.evaluate("performance.getEntriesByName('clip-shown').length"):  # it cannot wait itself
                    time.sleep(0.01)
                shown.append(page.evaluate("performance.getEntriesByName('clip-shown')[0].startTime"))
                gaps = page.evaluate(FRAMES)
                typed = page.evaluate(TYPED)
        print(f"first clip on screen: median {statistics.median(shown):.0f} ms, most {max(shown):.0f} ms")
        print(f"frames while the list is scrolled: median {gaps[len(gaps) // 2]:.0f} ms, most {gaps[-1]:.0f} ms")
        print(f"a search of all clips, until it is shown: {typed:.0f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=1200)
    parser.add_argument("--labels", type=int, default=25)
    parser.add_argument("--events", type=int, default=10)
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    print(f"{describe_machine()}, load {load()}")
    events, truth = (made(given.clips, given.labels, given.events, rng) for _ in range(2))
    annotations = as_truth(truth)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.html")
        for what in ("first", "again"):
            began = time.perf_counter()
            written = write_report(report, {"made": events}, annotations=annotations)
            print(f"written ({what}): {time.perf_counter() - began:.2f} s")
        print(f"{written.clips:,} clips, {written.events:,} events, with truth: {written.bytes:,} bytes")
        opened(report)


if __name__ == "__main__":
    main()

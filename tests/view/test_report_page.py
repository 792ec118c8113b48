"""The report in a real browser: opened from disk, looked at, listened to, searched, compared."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from score import Events
from tests.browser import chromium, page_of
from tests.command import av2a
from tests.made_events import Made, made_events

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

AXE = Path(__file__).parent / "vendor" / "axe-core" / "axe.min.js"
SECONDS = 4
PATIENCE_SECONDS = 30
EVIL = ("<img src=x onerror=alert(1)>", "</script><script>alert(2)</script>", "up\u202eside")
LABELS = ("Dog", "Cat", *EVIL)
A: Made = {
    "dog": [("visual", "Dog", 1, 3), ("audio", "Dog", 0, 4), ("audiovisual", "Dog", 1, 3)],
    "evil <b>clip</b>": [("visual", EVIL[0], 0, 2), ("audio", EVIL[1], 1, 2), ("audio", EVIL[2], 2, 4)],
    "cat": [("audio", "Cat", 2, 3)],
    "nothing": [],
}
B: Made = {**A, "dog": [("visual", "Dog", 1, 2), ("audio", "Dog", 0, 4), ("visual", "Cat", 0, 1)]}
TRUTH = """filename,onset,offset,event_label,stream
dog,1,3,Dog,visual
dog,0,4,Dog,audio
cat,0,4,Cat,visual
cat,0,4,Cat,audio
"""
Opened = Callable[..., AbstractContextManager["Page"]]


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, browser: "Browser") -> Path:
    """Two files of events, their truth, videos of two clips, and reports as the command writes them."""
    from tests.media import make_video

    path = tmp_path_factory.mktemp("report")
    for name, clips in (("a", A), ("b", B)):
        made_events(clips, LABELS, segments=SECONDS).write(path / f"{name}.json")
    (path / "truth.csv").write_text(TRUTH)
    (path / "nothing.txt").write_text("\n".join(A))
    (path / "videos").mkdir()
    for name in ("dog", "cat"):
        make_video(path / "videos" / f"{name}.mp4", frames=SECONDS * 10, fps=10)
    true = ("--dataset", "events", "--truth", "truth.csv", "--clips", "nothing.txt")
    for words in (
        ("a.json", "-o", "one.html", *true, "--title", "One & only"),
        ("a.json", "b.json", "-o", "two.html", *true),
        ("a.json", "-o", "whole.html", "--embed"),
    ):
        done = av2a("report", *words, cwd=path)
        assert done.code == 0, done.err
        assert "videos of 2 of 4 clips" in done.err
    return path


@pytest.fixture(scope="module")
def opened(folder: Path, browser: "Browser") -> Opened:
    def opened(name: str = "one.html", clip: str = "", **how: Any) -> AbstractContextManager["Page"]:
        return _opened(browser, (folder / name).as_uri() + (f"#{clip}" if clip else ""), **how)

    return opened


class _opened(AbstractContextManager["Page"]):  # noqa: N801
    """A page whose first clip stands; whatever it asks a network for, or says in a dialogue, fails."""

    def __init__(self, browser: "Browser", url: str, **how: Any) -> None:
        self._page, self._url, self.asked = page_of(browser, **how), url, list[str]()

    def __enter__(self) -> "Page":
        page = self._page.__enter__()
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("dialog", lambda dialog: self.asked.append(f"dialogue: {dialog.message}"))
        page.goto(self._url)
        until(page, "performance.getEntriesByName('clip-shown').length > 0")
        return page

    def __exit__(self, *error: Any) -> None:
        self._page.__exit__(*error)
        assert [url for url in self.asked if not url.startswith(("file:", "blob:"))] == []


def until(page: "Page", true: str) -> None:
    """Wait for an expression; a page without eval cannot wait itself."""
    ends = time.monotonic() + PATIENCE_SECONDS
    while not page.evaluate(true):
        assert time.monotonic() < ends, true
        time.sleep(0.02)


def title(page: "Page") -> str:
    return page.locator(".clip-title").inner_text()


def names(page: "Page") -> list[str]:
    """Of the clips in the list, from above; a screen reader has them in the same order."""
    rows = page.locator("[role=option]").all()
    found = [(row.bounding_box(), row.locator(".clip-name").inner_text()) for row in rows]
    assert found == sorted(found, key=lambda each: (each[0] or {"y": 0})["y"])
    return [name for _, name in found]


def at(page: "Page") -> float:
    """Where the playhead is, in seconds."""
    return (
        float(page.evaluate("getComputedStyle(document.querySelector('.playhead')).getPropertyValue('--at')")) * SECONDS
    )


@pytest.mark.parametrize("size", ["laptop", "tablet"])
def test_opens_from_disk(opened: Opened, size: str) -> None:
    with opened(size=size) as page:
        assert title(page) == "cat"
        assert page.title() == page.locator("h1").inner_text() == "One & only"
        assert names(page) == ["cat", "dog", "evil <b>clip</b>", "nothing"]
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        until(page, "document.querySelector('video').readyState > 1")
        for label in ("seen", "heard", "both"):
            assert page.get_by_role("region", name=label, exact=True).is_visible()
        page.get_by_role("tab", name="Overview").click()
        assert page.get_by_text("segment-type-av").first.is_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_an_event_plays_and_the_playhead_goes_with_the_video(opened: Opened) -> None:
    with opened(clip="dog") as page:
        until(page, "document.querySelector('video').readyState > 1")
        page.get_by_role("button", name="Dog, seen, 1–3 s, score 1.00").click()
        until(page, "document.querySelector('video').currentTime > 1.3")
        assert 1.2 < at(page) < SECONDS
        until(page, "document.querySelector('video').paused")
        assert abs(page.evaluate("document.querySelector('video').currentTime") - 3) < 0.3
        assert abs(at(page) - 3) < 0.3
        assert page.locator(".event.on").count() >= 1  # what is there at that time


def test_the_video_goes_with_the_playhead(opened: Opened) -> None:
    with opened(clip="dog") as page:
        until(page, "document.querySelector('video').readyState > 1")
        slider = page.get_by_role("slider", name="Time")
        box = slider.bounding_box()
        assert box is not None
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        until(page, "Math.abs(document.querySelector('video').currentTime - 2) < 0.05")
        assert abs(at(page) - 2) < 0.05
        page.keyboard.press("ArrowRight")
        until(page, "Math.abs(document.querySelector('video').currentTime - 3) < 0.05")
        assert slider.get_attribute("aria-valuenow") == "3"
        row = page.get_by_role("region", name="heard").locator(".track").first.bounding_box()
        assert row is not None
        page.evaluate("document.querySelectorAll('.event').forEach((event) => { event.style.pointerEvents = 'none'; })")
        page.mouse.click(row["x"] + row["width"] / 4, row["y"] + 5)
        until(page, "Math.abs(document.querySelector('video').currentTime - 1) < 0.05")


def test_keys(opened: Opened) -> None:
    with opened() as page:
        until(page, "document.querySelector('video').readyState > 1")
        page.keyboard.press("ArrowDown")
        assert title(page) == "dog"
        until(page, "document.querySelector('video').readyState > 1")
        page.keyboard.press("ArrowRight")
        assert abs(at(page) - 1) < 0.05
        page.keyboard.press(" ")
        until(page, "document.querySelector('video').currentTime > 1.2")
        page.keyboard.press(" ")
        assert page.evaluate("document.querySelector('video').paused")
        page.get_by_role("button", name="Dog, heard, 0–4 s, score 1.00").click()
        until(page, "!document.querySelector('video').paused && document.querySelector('video').currentTime > 0.1")
        page.keyboard.press(" ")  # the page's: an event was clicked, not walked to
        assert page.evaluate("document.querySelector('video').paused")
        page.get_by_role("slider", name="Time").focus()
        while not page.evaluate("document.activeElement.className").startswith("event"):
            page.keyboard.press("Tab")  # over names of rows, to the one event that is a stop
            assert page.evaluate("document.activeElement !== document.body")
        assert page.evaluate("document.activeElement.title") == "Dog, heard, 0–4 s, score 1.00"
        page.keyboard.press("ArrowRight")
        assert page.evaluate("document.activeElement.title") == "Dog, heard, 0–4 s, truth"
        assert title(page) == "dog"
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("ArrowUp")
        assert title(page) == "cat"
        assert page.evaluate("location.hash") == "#cat"
        page.get_by_role("searchbox").focus()
        page.keyboard.press("ArrowDown")
        assert title(page) == "cat"  # the keys of a box are its own
        page.get_by_role("listbox", name="Clips").focus()
        page.keyboard.press("End")
        assert title(page) == "nothing"
        assert (
            page.get_by_role("listbox", name="Clips")
            .get_by_role("option", selected=True)
            .locator(".clip-name")
            .inner_text()
            == "nothing"
        )


def test_search_filter_and_order(opened: Opened) -> None:
    with opened() as page:
        search, order = page.get_by_role("searchbox"), page.get_by_role("combobox", name="order", exact=True)
        search.fill("DOG")
        assert names(page) == ["dog"]
        search.fill("<b>clip onerror")
        assert names(page) == ["evil <b>clip</b>"]
        search.fill("")
        page.get_by_role("combobox", name="label", exact=True).select_option("Cat")
        assert names(page) == ["cat"]
        page.get_by_role("combobox", name="label", exact=True).select_option("any label")
        page.get_by_role("combobox", name="stream", exact=True).select_option("seen")
        assert names(page) == ["dog", "evil <b>clip</b>"]
        assert page.get_by_role("status").inner_text() == "2 of 4 clips"
        page.get_by_role("combobox", name="stream", exact=True).select_option("any stream")
        order.select_option("disagreement")
        assert names(page)[0] in ("cat", "evil <b>clip</b>")
        assert names(page)[-2:] == ["dog", "nothing"]
        page.get_by_role("button", name="disagreement: largest first").click()
        assert names(page)[:2] == ["dog", "nothing"]
        order.select_option("events")
        assert set(names(page)[:2]) == {"dog", "evil <b>clip</b>"}
        order.select_option("score")
        assert names(page)[-1] == "nothing"


def test_truth_stands_beside_events(opened: Opened) -> None:
    with opened(clip="cat") as page:
        assert page.get_by_role("button", name="Cat, both, 0–4 s, truth").is_visible()  # seen and heard at once
        assert page.get_by_role("button", name="Cat, heard, 2–3 s, score 1.00").is_visible()
        assert "% wrong" in page.locator(".clip-facts").inner_text()


def test_several_files(opened: Opened) -> None:
    with opened("two.html", clip="dog") as page:
        seen = page.get_by_role("region", name="seen", exact=True)
        assert seen.locator(".block-count").inner_text() == "1 / 2, 2 rows differ"
        dog, cat = seen.locator(".row").all()
        assert [dog.locator(".lane-tag").all_inner_texts(), cat.locator(".diff").count()] == [["A", "B", "T"], 1]
        marked, event = (dog.locator(name).first.bounding_box() for name in (".diff", ".event"))
        assert marked is not None and event is not None  # noqa: PT018
        assert abs(marked["x"] - event["x"] - event["width"] / 2) < 2
        heard = page.get_by_role("region", name="heard", exact=True)
        assert heard.locator(".diff").count() == 0
        first = page.locator("[role=option]").first
        assert first.locator(".clip-wrong").inner_text().endswith("% wrong")
        page.get_by_role("combobox", name="order", exact=True).select_option("difference")
        assert names(page)[0] == "dog"
        assert first.locator(".clip-wrong").inner_text().startswith("≠ ")
        page.get_by_role("tab", name="Overview").click()
        assert page.get_by_role("columnheader", name="b − a, 95 %").is_visible()


def test_names_are_text(opened: Opened) -> None:
    with opened(clip="evil%20%3Cb%3Eclip%3C%2Fb%3E") as page:
        assert title(page) == "evil <b>clip</b>"
        assert page.locator("img, b").count() == 0
        assert page.locator("script").count() == 2  # the data, and the page's own
        assert page.get_by_role("button", name=EVIL[0], exact=True).is_visible()
        assert page.get_by_role("button", name=EVIL[1], exact=True).is_visible()
        assert "\u202e" not in page.locator("body").inner_text()
        assert page.get_by_role("button", name="up\\u202eside", exact=True).is_visible()
        page.get_by_role("tab", name="Overview").click()
        assert page.get_by_role("rowheader", name=EVIL[0]).first.is_visible()


def test_a_missing_video_says_how_to_name_it(opened: Opened) -> None:
    with opened(clip="nothing") as page:
        assert "--videos" in page.locator(".player-words").inner_text()
        assert page.get_by_role("button", name="Play").is_disabled()
        page.get_by_role("slider", name="Time").focus()
        page.keyboard.press("ArrowRight")
        assert at(page) == 1  # timelines go without one
        assert page.locator(".block-empty:visible").count() == 3


def test_a_video_that_is_gone(folder: Path, browser: "Browser", tmp_path: Path) -> None:
    (tmp_path / "alone.html").write_bytes((folder / "one.html").read_bytes())
    with _opened(browser, (tmp_path / "alone.html").as_uri()) as page:
        page.get_by_text("This video cannot be played").wait_for()


def test_embedded(folder: Path, browser: "Browser", tmp_path: Path) -> None:
    (tmp_path / "alone.html").write_bytes((folder / "whole.html").read_bytes())
    with _opened(browser, (tmp_path / "alone.html").as_uri()) as page:
        until(page, "document.querySelector('video').readyState > 1")
        assert page.evaluate("document.querySelector('video').src").startswith("blob:")
        page.get_by_role("button", name="Cat, heard, 2–3 s, score 1.00").click()
        until(page, "document.querySelector('video').currentTime > 2.2")


def test_stitched(browser: "Browser", tmp_path: Path) -> None:
    """A file of two clips and a half: one timeline, clips' files on clips' own."""
    from dataclasses import replace

    from score.stitching import stitch
    from score.view.report import write_report
    from tests.media import make_video

    clips: Made = {"long#0": [("audio", "Dog", 2, 4)], "long#1": [("audio", "Dog", 0, 2)], "long#2": []}
    places: dict[str, Any] = {f"long#{n}": ("long", 4.0 * n, 10.0 if n == 2 else None) for n in range(3)}
    cut: Events = replace(made_events(clips, LABELS, segments=SECONDS), clips_from=places)
    (tmp_path / "videos").mkdir()
    make_video(tmp_path / "videos" / "long.mp4", frames=100, fps=10)
    write_report(tmp_path / "files.html", {"a": stitch(cut)}, videos=tmp_path / "videos")
    write_report(tmp_path / "clips.html", {"a": cut}, videos=tmp_path / "videos")
    with _opened(browser, (tmp_path / "files.html").as_uri()) as page:
        assert title(page) == "long"
        assert page.get_by_role("slider", name="Time").get_attribute("aria-valuemax") == "10"
        page.get_by_role("button", name="Dog, heard, 2–6 s, score 1.00").click()
        until(page, "document.querySelector('video').currentTime > 2.1")
        page.get_by_role("button", name="Zoom in").click()
        track, seen = (page.locator(each).bounding_box() for each in (".axis-marks", ".timelines-scroll"))
        assert track is not None and seen is not None  # noqa: PT018
        assert track["width"] > seen["width"]
    with _opened(browser, (tmp_path / "clips.html").as_uri() + "#long%231") as page:
        assert "from 4–8 s of its file" in page.locator(".clip-facts").inner_text()
        until(page, "document.querySelector('video').currentTime >= 4")
        page.get_by_role("button", name="Dog, heard, 0–2 s, score 1.00").click()
        until(page, "document.querySelector('video').paused && document.querySelector('video').currentTime > 5")
        assert page.evaluate("document.querySelector('video').currentTime") < 6.3


def test_sound_alone(browser: "Browser", tmp_path: Path) -> None:
    from score.view.report import write_report
    from tests.media import make_wav, tone

    (tmp_path / "videos").mkdir()
    make_wav(tmp_path / "videos" / "cat.wav", tone(SECONDS, 8000), 8000)
    write_report(tmp_path / "r.html", {"a": made_events({"cat": A["cat"]}, LABELS)}, videos=tmp_path / "videos")
    with _opened(browser, (tmp_path / "r.html").as_uri()) as page:
        assert page.locator(".player-words").inner_text() == "♪ sound alone"
        page.get_by_role("button", name="Cat, heard, 2–3 s, score 1.00").click()
        until(page, "document.querySelector('video').currentTime > 2.2")
        page.get_by_role("checkbox", name="repeat").check()
        until(page, "document.querySelector('video').currentTime > 2.8")
        until(page, "document.querySelector('video').currentTime < 2.5")  # again from where it began


def test_events_that_overlap_are_all_seen(browser: "Browser", tmp_path: Path) -> None:
    from score.view.report import write_report

    clips: Made = {
        "a": [("audio", "Dog", 0, 3), ("audio", "Dog", 1, 4), ("audio", "Dog", 3, 4), ("audio", "Cat", 0, 1)]
    }
    write_report(tmp_path / "r.html", {"a": made_events(clips, LABELS, segments=SECONDS)})
    with _opened(browser, (tmp_path / "r.html").as_uri()) as page:
        boxes = [each.bounding_box() for each in page.locator(".event").all()]
        tops = [(round(box["x"]), round(box["y"]), box["height"]) for box in boxes if box is not None]
        (first, upper, height), (_, lower, _), (last, same, _), (cat, below, _) = tops
        assert upper + height <= lower
        assert (same, cat) == (upper, first)
        assert last > first
        assert below >= lower + height


@pytest.mark.parametrize("dark", [False, True])
def test_accessible(opened: Opened, dark: bool) -> None:
    """No serious or critical fault that axe-core finds."""
    with opened("two.html", clip="dog", dark=dark) as page:
        page.evaluate(AXE.read_text(encoding="utf-8"))
        for where in ("Clips", "Overview"):
            page.get_by_role("tab", name=where).click()
            found = page.evaluate("axe.run()")
            assert [each["id"] for each in found["violations"] if each["impact"] in ("serious", "critical")] == []
            assert found["passes"]


def test_a_long_list_holds_the_rows_in_sight_alone(browser: "Browser", tmp_path: Path) -> None:
    from score.view.report import write_report

    clips: Made = {f"clip {n}": [("audio", "Dog", 0, 1)] if n % 2 else [] for n in range(5000)}
    write_report(tmp_path / "long.html", {"a": made_events(clips, LABELS)})
    with _opened(browser, (tmp_path / "long.html").as_uri()) as page:
        assert page.locator("[role=option]").count() < 60
        page.get_by_role("listbox", name="Clips").focus()
        page.keyboard.press("End")
        assert title(page) == "clip 4999"
        assert (
            page.get_by_role("listbox", name="Clips")
            .get_by_role("option", selected=True)
            .get_attribute("aria-posinset")
            == "5000"
        )
        assert page.locator("[role=option]").count() < 60
        page.get_by_role("searchbox").fill("499 dog")
        assert names(page)[:5] == ["clip 499", "clip 1499", "clip 2499", "clip 3499", "clip 4499"]
        assert page.get_by_role("status").inner_text() == "10 of 5,000 clips"

"""The page of `av2a tune` as people use it: a real server, a real cache with its videos, a real browser."""

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from extract import extract_videos, make_demo
from tests.browser import SIZES, chromium, page_of, picture
from tests.command import PATIENCE_SECONDS, av2a
from tests.view.live import Live, tuning

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page, Route

AXE = Path(__file__).parent / "vendor" / "axe-core" / "axe.min.js"
CLIPS = 8
CHOSEN = ".clip-row[aria-selected=true]"
HOSTILE = ("<img src=x onerror=alert(1)>", "</script><b>bold</b>", '"><svg onload=alert(2)>')
PATIENCE_MS = 60_000
"""When a test takes it that something never comes."""


@dataclass(frozen=True)
class Made:
    """A demo: its folder holds videos, annotations and features.zarr."""

    folder: Path

    @property
    def options(self) -> tuple[object, ...]:
        """That show everything."""
        folders = ("--videos", self.folder / "videos", "--annotations", self.folder / "annotations")
        return (self.folder / "features.zarr", *folders, "--dataset", "llp", "--split", "val")


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    with chromium() as found:
        from playwright.sync_api import expect

        expect.set_options(timeout=PATIENCE_MS)
        yield found


@pytest.fixture(scope="module")
def made(browser: "Browser", tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("tune") / "demo"
    demo = make_demo(folder, clips_per_split=CLIPS, workers=1)
    extract_videos(demo.videos, folder / "features.zarr", backbone="tiny", labels=demo.videos / "labels.txt")
    return Made(folder)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server writes."""
    return tmp_path_factory.mktemp("outputs")


@pytest.fixture(scope="module")
def server(made: Made, outputs: Path) -> Iterator[Live]:
    with tuning(*made.options, cwd=outputs) as found:
        yield found


@pytest.fixture
def page(browser: "Browser", server: Live) -> Iterator["Page"]:
    with opened(browser, server.url) as found:
        yield found


@contextmanager
def opened(browser: "Browser", url: str, size: str = "laptop", dark: bool = False) -> Iterator["Page"]:
    """The page, once it shows a clip."""
    with page_of(browser, size, dark) as found:
        found.set_default_timeout(PATIENCE_MS)
        found.on("dialog", lambda dialog: pytest.fail(f"a script of a name ran: {dialog.message}"))
        found.goto(url)
        shows(found, ".clip-title", re.compile("demo_"))
        yield found


def shows(page: "Page", selector: str, text: "str | re.Pattern[str]") -> None:
    from playwright.sync_api import expect

    expect(page.locator(selector).first).to_contain_text(text)


def drag(page: "Page", slider: "Locator", start: float, end: float, steps: int = 12) -> None:
    """By the pointer, from one part of its width to another; the button stays down."""
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + start * box["width"], y)
    page.mouse.down()
    page.mouse.move(box["x"] + end * box["width"], y, steps=steps)


def events_of(page: "Page") -> list[str]:
    """What the events on the timelines say of themselves."""
    names = page.locator(".lane.layer .event").evaluate_all("nodes => nodes.map((node) => node.ariaLabel)")
    return [str(name) for name in names]


def figures_of(page: "Page") -> dict[str, str]:
    rows = page.locator(".figures tbody tr").evaluate_all(
        "rows => rows.map((row) => [row.dataset.name, row.querySelector('.value').textContent])"
    )
    return {str(name): str(value) for name, value in rows}


def value_of(page: "Page", name: str) -> str:
    return page.locator(f"#p-{name}").input_value()


def settled(page: "Page") -> None:
    """Until what was asked last is answered."""
    from playwright.sync_api import expect

    expect(page.locator("main")).to_have_attribute("aria-busy", "false")


def test_a_slider_moves_events_and_figures(page: "Page") -> None:
    from playwright.sync_api import expect

    settled(page)
    events, figures, before = events_of(page), figures_of(page), value_of(page, "threshold_stage1")
    assert events, page.inner_text(".timelines")
    assert all(re.fullmatch(r"\d+\.\d\d", value) for value in figures.values())
    drag(page, page.locator("#p-threshold_stage1"), 0.775, 0.97)
    settled(page)
    assert events_of(page) != events  # while the button is down
    assert figures_of(page) != figures
    page.mouse.up()
    change = page.locator(".figures .objective .change")
    expect(change).to_have_text(re.compile(r"[+−]\d"))
    expect(change).to_have_class(re.compile("better|worse"))
    page.get_by_role("button", name="Undo").click()
    settled(page)
    assert (events_of(page), figures_of(page), value_of(page, "threshold_stage1")) == (events, figures, before)
    expect(change).to_have_text("±0")
    expect(page.get_by_role("button", name="Undo")).to_be_disabled()  # the whole drag was one step
    page.keyboard.press("Control+Shift+Z")
    settled(page)
    assert events_of(page) != events
    usual = page.get_by_role("button", name="all usual")
    usual.click()
    expect(usual).to_be_disabled()
    settled(page)
    assert events_of(page) == events


def test_video_and_playhead_go_together(page: "Page") -> None:
    from playwright.sync_api import expect

    axis, video = page.get_by_role("slider", name="Time"), page.locator("video")
    expect(axis).to_have_attribute("aria-valuenow", "0")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(axis).to_have_attribute("aria-valuenow", "2")
    expect(video).to_have_js_property("currentTime", 2)
    page.keyboard.press("ArrowLeft")
    expect(axis).to_have_attribute("aria-valuenow", "1")
    page.keyboard.press("Space")
    expect(video).to_have_js_property("paused", False)
    expect(axis).to_have_attribute("aria-valuenow", re.compile(r"1\.[5-9]|[2-9]"))
    page.keyboard.press("Space")
    expect(video).to_have_js_property("paused", True)
    event = page.locator(".lane.layer .event").first
    event.click()
    expect(video).to_have_js_property("paused", False)
    expect(event).to_have_class(re.compile(r"\bon\b"))
    page.keyboard.press("Space")  # the page's own, though the event has the focus
    expect(video).to_have_js_property("paused", True)
    page.locator(".sound-canvas").click(position={"x": 5, "y": 20})
    expect(axis).to_have_attribute("aria-valuenow", re.compile(r"0\.[0-3]"))
    page.get_by_role("button", name="spectrogram").click()
    expect(page.locator(".sound-canvas canvas:visible").first).to_be_visible()
    page.locator(".curve-seen .u-over").click(position={"x": 3, "y": 20})
    expect(axis).to_have_attribute("aria-valuenow", re.compile(r"0(\.[0-3])?"))


def test_by_keyboard(page: "Page") -> None:
    from playwright.sync_api import expect

    first = page.inner_text(".clip-title")
    page.keyboard.press("ArrowDown")
    expect(page.locator(".clip-title")).not_to_have_text(first)
    second = page.inner_text(".clip-title")
    expect(page.locator(CHOSEN)).to_contain_text(second)
    page.keyboard.press("ArrowUp")
    expect(page.locator(".clip-title")).to_have_text(first)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("a segment back, on")
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("val_002")
    expect(page.locator(".clip-row")).to_have_count(1)
    page.keyboard.press("Control+A")
    page.keyboard.press("Delete")
    slider = page.locator("#p-threshold_stage1")
    slider.focus()
    before = value_of(page, "threshold_stage1")
    page.keyboard.press("ArrowLeft")
    settled(page)
    assert float(value_of(page, "threshold_stage1")) < float(before)
    page.keyboard.press("Control+Z")
    settled(page)
    assert value_of(page, "threshold_stage1") == before


def test_a_value_that_cannot_be(page: "Page") -> None:
    from playwright.sync_api import expect

    settled(page)
    events = events_of(page)
    box = page.get_by_label("stage-1 threshold, as a number")
    box.fill("1.5")
    page.keyboard.press("Enter")
    expect(page.locator("#p-threshold_stage1-hint")).to_have_text("It has to be a number from 0 to 1.")
    expect(box).to_have_attribute("aria-invalid", "true")
    settled(page)
    assert events_of(page) == events
    page.locator("#p-threshold_stage1").fill("0.5")
    expect(page.locator("#p-threshold_stage1-hint")).to_have_text("where segment thresholds start")


def test_rules_keep_their_own_values(page: "Page") -> None:
    from playwright.sync_api import expect

    settled(page)
    page.locator("#p-alpha").fill("0.9")
    page.get_by_label("Rule").select_option("threshold")
    expect(page.locator("#p-compared")).to_be_visible()
    expect(page.locator("#p-gamma")).to_have_count(0)
    settled(page)
    of_threshold = figures_of(page)
    page.get_by_label("threshold, as a number").fill("0.6")
    page.keyboard.press("Enter")
    page.get_by_label("Rule").select_option("av2a")
    expect(page.locator("#p-alpha")).to_have_value("0.9")
    page.keyboard.press("Control+Z")  # from the list of rules, which takes no text
    expect(page.locator("#p-threshold")).to_have_value("0.6")
    page.keyboard.press("Control+Z")
    settled(page)
    assert figures_of(page) == of_threshold


def test_a_link_shows_the_same(page: "Page", browser: "Browser") -> None:
    from playwright.sync_api import expect

    page.keyboard.press("ArrowDown")
    page.get_by_label("stage-1 threshold, as a number").fill("0.5")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"#clip=demo_\w+&.*rule=av2a&p\.threshold_stage1=0\.5$"))
    settled(page)
    clip, events = page.inner_text(".clip-title"), events_of(page)
    with opened(browser, page.url) as other:
        shows(other, ".clip-title", clip)
        settled(other)
        assert events_of(other) == events
        expect(other.locator(".figures .objective .change")).to_have_text(re.compile(r"[+−]\d"))
        other.goto(page.url + "9&p.alpha=7&clip=none")  # out of its range: passed over
        expect(other.get_by_label("stage-1 threshold, as a number")).to_have_value("0.59")


def test_what_is_written(page: "Page", outputs: Path, made: Made) -> None:
    from playwright.sync_api import expect

    from feature_cache import FeatureCache
    from score import settings_for

    (outputs / "best.toml").write_text("alpha = 0.1\n")
    page.get_by_label("gamma, as a number").fill("2.5")
    page.keyboard.press("Enter")
    expect(page.locator(".figures .objective .change")).not_to_have_text("")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("dialog")).to_contain_text("best.toml is there already")
    assert (outputs / "best.toml").read_text() == "alpha = 0.1\n"
    page.get_by_role("button", name="Overwrite it").click()
    expect(page.locator("#status")).to_contain_text("best.toml")
    expect(page.locator(".figures thead")).to_contain_text("since the last save")
    expect(page.locator(".figures .objective .change")).to_have_text("±0")
    cache = FeatureCache.open(made.folder / "features.zarr")
    assert settings_for(cache, outputs / "best.toml").gamma == 2.5
    page.get_by_role("button", name="Events").click()
    page.get_by_role("button", name="Write").click()
    expect(page.get_by_role("dialog")).to_contain_text(re.compile(r"\d+ events are in events.json"))
    written = (outputs / "events.json").read_bytes()
    page.get_by_label("Format").select_option("csv")
    expect(page.get_by_label("File")).to_have_value("events.csv")
    page.get_by_role("button", name="Close").click()
    page.get_by_role("button", name="Command").click()
    line = shlex.split(page.get_by_label("This line writes").input_value())
    assert line[:2] == ["av2a", "score"]
    (outputs / "events.json").unlink()
    assert av2a(*line[1:], cwd=outputs).code == 0
    assert (outputs / "events.json").read_bytes() == written


def test_the_best_is_found_and_its_map_chosen_from(page: "Page") -> None:
    from playwright.sync_api import expect

    page.get_by_label("stage-1 threshold, as a number").fill("0.95")
    page.keyboard.press("Enter")
    settled(page)
    worst = float(figures_of(page)["segment-type-av"])
    page.get_by_text("a search from these values").click()
    page.get_by_role("group", name="Vary").get_by_label("gamma").uncheck()
    expect(page.get_by_role("button", name="vary gamma in the search")).to_have_attribute("aria-pressed", "false")
    page.get_by_label("Seconds").fill("1")
    page.get_by_role("button", name="Find the best").click()
    expect(page.locator("#status")).to_contain_text("On the sliders: the best found")
    settled(page)
    best = float(figures_of(page)["segment-type-av"])
    assert best > worst
    shows(page, ".find-line", f"segment-type-av {best:.2f}, +")
    chooser = page.get_by_role("slider", name="settings tried")
    chooser.focus()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    shows(page, "#status", "On the sliders: a setting of the search")
    settled(page)
    assert float(figures_of(page)["segment-type-av"]) < best
    page.get_by_role("button", name="Undo").click()
    settled(page)
    assert float(figures_of(page)["segment-type-av"]) == best
    before = value_of(page, "threshold_stage1")
    box = chooser.bounding_box()
    assert box is not None
    steps = range(50, int(box["width"]) - 12, 6)
    places = ((x, y) for x in steps for y in range(14, 150, 12))
    while value_of(page, "threshold_stage1") == before:  # until the pointer meets another dot
        x, y = next(places)
        chooser.click(position={"x": x, "y": y})
    page.get_by_role("button", name="Undo").click()
    assert value_of(page, "threshold_stage1") == before
    page.reload()
    page.get_by_text("a search from these values").click()
    expect(chooser).to_be_visible()
    page.get_by_label("Rule").select_option("exchange")
    expect(chooser).to_be_hidden()  # its dots are settings of another rule
    page.get_by_label("Rule").select_option("av2a")
    expect(chooser).to_be_visible()
    page.get_by_label("Seconds").fill("600")
    page.get_by_role("button", name="Find the best").click()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Find the best")).to_be_visible()


def test_new_words_are_text(page: "Page") -> None:
    from playwright.sync_api import expect

    page.get_by_text("type labels, and see them").click()
    box = page.get_by_label("One label a line")
    box.fill("alone")
    page.keyboard.press("Control+Enter")
    shows(page, "#words-line", "give from 2")
    box.fill("\n".join([*HOSTILE, "a bell that rings", "rain on a roof"]))
    page.keyboard.press("Control+Enter")
    shows(page, "#words-line", re.compile(r"5 labels embedded in \d"))
    expect(page.get_by_label("Labels").locator("option:checked")).to_contain_text("(5)")
    expect(page.locator("#why-label option")).to_have_count(5)
    settled(page)
    page.locator("#why-label").select_option(label=HOSTILE[0])
    expect(page.locator(".row-name", has_text=HOSTILE[0]).first).to_be_visible()
    assert page.locator("img, b:text('bold'), .row-name svg").count() == 0
    expect(page).to_have_url(re.compile(r"text=\d+&rule"))
    assert "onerror" not in page.url
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#why-label option")).to_have_count(12)


def test_an_older_answer_is_never_shown_after_a_newer_one(page: "Page") -> None:
    settled(page)
    held: list[Route] = []
    asked: list[int] = []

    def hold(route: "Route") -> None:
        asked.append(json.loads(route.request.post_data or "")["seq"])
        held.append(route) if len(asked) == 1 else route.continue_()

    page.route("**/api/clip", hold)
    drag(page, page.locator("#p-threshold_stage1"), 0.775, 0.3, steps=40)
    page.mouse.up()
    held[0].continue_()
    settled(page)
    changed = page.evaluate("performance.getEntriesByName('av2a:changed').map((mark) => mark.detail.seq)")
    shown = page.evaluate("performance.getEntriesByName('av2a:shown-clip').map((mark) => mark.detail.seq)")
    assert shown == sorted(shown)
    assert shown[-1] >= changed[-1]
    assert len(asked) < len(changed)  # stale ones were dropped


def test_figures_are_dimmed_while_they_are_late(page: "Page") -> None:
    from playwright.sync_api import expect

    settled(page)
    held: list[Route] = []
    page.route("**/api/figures", lambda route: held.append(route))
    page.locator("#p-threshold_stage1").focus()
    page.keyboard.press("ArrowLeft")
    cell = page.locator(".figures .value").first
    expect(cell).to_have_css("opacity", "0.45")
    held[0].continue_()
    expect(cell).to_have_css("opacity", "1")


def test_a_video_that_cannot_be_played(browser: "Browser", server: Live) -> None:
    with page_of(browser) as page:
        page.route("**/media/*", lambda route: route.fulfill(body=b"nothing", content_type="video/mp4"))
        page.goto(server.url)
        shows(page, ".trouble", "This video cannot be played")
        shows(page, ".sound-line", "no waveform")
        settled(page)
        assert events_of(page)


def test_the_server_is_killed_in_mid_drag_and_comes_back(browser: "Browser", made: Made, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    with ExitStack() as servers:
        server = servers.enter_context(tuning(*made.options, cwd=tmp_path))
        page = servers.enter_context(opened(browser, server.url))
        settled(page)
        slider = page.locator("#p-threshold_stage1")
        drag(page, slider, 0.775, 0.6)
        settled(page)
        events = events_of(page)
        server.process.kill()
        server.process.wait(PATIENCE_SECONDS)
        box = slider.bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + 0.96 * box["width"], box["y"] + box["height"] / 2, steps=8)
        page.mouse.up()
        expect(page.get_by_role("alert")).to_contain_text("start `av2a tune` again")
        assert events_of(page) == events
        moved = value_of(page, "threshold_stage1")
        servers.enter_context(tuning(*made.options, "--port", server.address[1], cwd=tmp_path))
        expect(page.get_by_role("alert")).to_have_count(0)
        settled(page)
        assert value_of(page, "threshold_stage1") == moved
        assert events_of(page) != events
        page.get_by_role("button", name="Undo").click()  # what was done before is not forgotten
        settled(page)
        assert value_of(page, "threshold_stage1") != moved


def test_without_videos_and_annotations(browser: "Browser", made: Made, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    shutil.copytree(made.folder / "features.zarr", tmp_path / "features.zarr")
    with tuning(cwd=tmp_path) as server, opened(browser, server.url) as page:
        shows(page, ".player-words", "--videos DIR")
        shows(page, ".figures-panel", "--annotations DIR --dataset NAME --split val")
        page.keyboard.press("ArrowRight")
        expect(page.get_by_role("slider", name="Time")).to_have_attribute("aria-valuenow", "1")
        settled(page)
        events = events_of(page)
        page.locator("#p-threshold_stage1").fill("0.5")
        settled(page)
        assert events_of(page) != events
        page.locator(".lane.layer .event").last.click()
        page.get_by_text("a search from these values").click()
        expect(page.get_by_role("button", name="Find the best")).to_be_disabled()
        sets = page.get_by_label("Labels").locator("option")
        before = sets.count()  # one, or two: the tests before may have added words of their own
        (tmp_path / "labels.txt").write_text("a bell that rings\nrain on a roof\n")
        assert av2a("text", "features.zarr", "--labels", "labels.txt", "--name", "other", cwd=tmp_path).code == 0
        page.get_by_role("button", name="Load it again").click()
        expect(sets).to_have_count(before + 1)
        expect(page.get_by_role("alert")).to_have_count(0)
        assert value_of(page, "threshold_stage1") == "0.5"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_both_widths_light_and_dark(browser: "Browser", server: Live, size: str, dark: bool) -> None:
    with opened(browser, server.url, size, dark) as page:
        settled(page)
        width, height = SIZES[size]
        root = page.evaluate("(({scrollWidth, scrollHeight}) => [scrollWidth, scrollHeight])(document.documentElement)")
        assert root == [width, height]
        for selector in ("video", ".lane.layer .event", ".figures .objective", "#p-threshold_stage1", CHOSEN):
            box = page.locator(selector).first.bounding_box()
            assert box is not None, selector
            assert 0 <= box["x"] < box["x"] + box["width"] <= width, selector
            assert 0 <= box["y"] < box["y"] + box["height"] <= height, selector
        cut = page.locator("button, summary, h2, .control-title").evaluate_all(
            "nodes => nodes.filter((node) => node.checkVisibility() && node.scrollWidth > node.clientWidth + 1)"
            ".map((node) => node.outerHTML)"
        )
        assert [node for node in cut if "row-name" not in node and "event" not in node] == []
        if size == "laptop" or not dark:  # those that docs/tune.md shows
            picture(page, f"tune-{size}{'-dark' if dark else ''}")


@pytest.mark.parametrize("size", SIZES)
def test_long_names_stay_within(browser: "Browser", server: Live, size: str) -> None:
    def with_long_names(route: "Route") -> None:
        state = route.fetch().json()
        state["cache"]["path"] = "/" + "x" * 300
        state["texts"][0]["labels"] = [f"{label} and so on" * 30 for label in state["texts"][0]["labels"]]
        state["clips"] = [{**clip, "id": clip["id"] * 30} for clip in state["clips"]]
        route.fulfill(json=state)

    with page_of(browser, size) as page:
        page.route("**/api/state", with_long_names)
        page.goto(server.url)
        shows(page, ".clip-title", "demo_")
        settled(page)
        assert page.evaluate("document.documentElement.scrollWidth") == SIZES[size][0]
        for column in page.locator("main > *").all():
            box = column.bounding_box()
            assert box is not None
            assert 0 < box["x"] + box["width"] <= SIZES[size][0]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_serious(browser: "Browser", server: Live, size: str, dark: bool) -> None:
    width, height = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light", bypass_csp=True
    )  # axe tries styles of its own
    try:
        page = context.new_page()
        page.goto(server.url)
        shows(page, ".clip-title", "demo_")
        settled(page)
        page.locator("#p-threshold_stage1").fill("0.5")
        settled(page)
        for summary in page.locator("summary").all():
            summary.click()
        page.evaluate(AXE.read_text("utf-8"))
        violations = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
        found = [
            (each["id"], each["nodes"][0]["html"]) for each in violations if each["impact"] in ("serious", "critical")
        ]
        assert found == []
    finally:
        context.close()


def test_a_report_of_the_same_events(browser: "Browser", made: Made, tmp_path: Path) -> None:
    """Its pages hold together what the demo's parts are: two rules' events, truth, videos."""
    for words in (
        ("score", made.options[0], "--text", "demo", "-o", "av2a.json"),
        ("score", made.options[0], "--text", "demo", "--rule", "exchange", "-o", "exchange.json"),
        ("report", "av2a.json", *made.options[1:], "-o", "one.html"),
        ("report", "av2a.json", "exchange.json", *made.options[1:], "-o", "two.html"),
    ):
        done = av2a(*words, cwd=tmp_path)
        assert done.code == 0, done.err
    for name, layers in (("one", 1), ("two", 2)):
        with page_of(browser) as page:
            page.goto((tmp_path / f"{name}.html").as_uri() + "#demo_val_000")
            shows(page, ".clip-title", "demo_val_000")
            assert page.locator(".lane.layer .event").count() > 0
            assert page.locator(".row").first.locator(".lane.layer").count() == layers
            page.locator("video").evaluate(
                "video => video.readyState > 1 || new Promise((there) => video.onloadeddata = there)"
            )
            picture(page, "report" if name == "one" else "report-two")

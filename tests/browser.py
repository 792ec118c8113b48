"""A real browser for tests of pages: Chromium, driven through Playwright; skipped in one line where none is found.

``AV2A_BROWSER`` names the program; "required" makes a failure of what would be skipped. ``AV2A_PICTURES`` names a
folder for the pictures that stand in the documents (`make pictures`).
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge")
SIZES = {"laptop": (1280, 720), "tablet": (820, 1180)}


def find_browser() -> str | None:
    """The program, or None."""
    named = os.environ.get("AV2A_BROWSER", "")
    if named and named != "required":
        return named
    return next((found for name in NAMES if (found := shutil.which(name))), None)


@contextmanager
def chromium() -> Iterator["Browser"]:
    """A browser of its own profile, without a network but this machine's."""
    program = find_browser()
    if program is None:
        why = "no Chromium was found: tests of pages are skipped (apt install chromium, or name it: AV2A_BROWSER)"
        if os.environ.get("AV2A_BROWSER") == "required":
            pytest.fail(why)
        pytest.skip(why)
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-dev-shm-usage", "--autoplay-policy=no-user-gesture-required", "--mute-audio"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=flags)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def page_of(browser: "Browser", size: str = "laptop", dark: bool = False) -> Iterator["Page"]:
    """A page of a size of ``SIZES``; errors of its scripts and refusals of its security policy fail the test."""
    width, height = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light", reduced_motion="reduce"
    )
    page = context.new_page()
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(f"{error}"))
    page.on("console", lambda line: said.append(line.text) if "Content Security Policy" in line.text else None)
    try:
        yield page
        assert said == []
    finally:
        context.close()


def picture(page: "Page", name: str) -> None:
    """Keep what is on the screen, where somebody wants it."""
    folder = os.environ.get("AV2A_PICTURES")
    if folder:
        page.mouse.move(0, 0)
        page.screenshot(path=Path(folder) / f"{name}.png", animations="disabled", caret="hide")

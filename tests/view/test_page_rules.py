"""The pages' own rules (docs/design.md 7): no markup is made of texts, nothing comes from elsewhere."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "score" / "view" / "page"
MOST_LINES = 400
MODULES = sorted(PAGE.rglob("*.js"))
MARKUP = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment|srcdoc"
CODE = r"\beval\(|new Function|setAttribute\(\s*[\"'](style|on\w+)"
ELSEWHERE = r"https?://|wss?://|[\"']//"


@pytest.mark.parametrize("file", MODULES, ids=lambda file: file.name)
def test_a_module(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    for what in (MARKUP, CODE, ELSEWHERE):
        assert not re.search(what, text.replace("http://www.w3.org/2000/svg", "")), what
    assert len(text.splitlines()) <= MOST_LINES
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize("file", sorted(PAGE.rglob("*.html")), ids=lambda file: file.parent.name)
def test_a_document(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert not re.search(r"\sstyle=|\son\w+=|" + ELSEWHERE, text)
    assert '<html lang="en"' in text
    for script in re.findall(r"<script[^>]*>(.*?)</script>", text, re.DOTALL):
        assert re.fullmatch(r"(@@\w+@@)?", script.strip())


@pytest.mark.parametrize("file", sorted(PAGE.rglob("*.css")), ids=lambda file: file.name)
def test_a_style(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert not re.search(r"@import|@font-face|" + ELSEWHERE, text)

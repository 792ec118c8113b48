"""A page's modules as one script: the rules that they keep, and what is refused."""

import re
from pathlib import Path

import pytest

from score.view import bundle as bundling
from score.view.bundle import PAGE, bundle, source_hash


def test_the_report_is_one_script() -> None:
    script = bundle(PAGE / "report" / "report.js")
    assert not re.search(r"^(import|export)\b", script, re.MULTILINE)
    assert script.index("class TimelineRow") < script.index("class Timelines") < script.index("class ClipView")
    assert script.count("class Timelines ") == 1


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        ('import {\n  a } from "./other.js";', "export const a = 1;", "in a form"),
        ('import * as a from "./other.js";', "export const a = 1;", "in a form"),
        ('import { a } from "./other.js";\nconst b = a;', "export const a = 1;\nconst b = 2;", "b is a name of"),
        ('import { b } from "./other.js";', "export const a = 1;", "imports b, which"),
        ('import { a } from "../../outside.js";', "", "no file of the page"),
        ('import { a } from "./other.js";', 'import { c } from "./one.js";\nexport const a = 1;', "import each other"),
        ("export default 1;", "", "in a form"),
        ("const { a } = window;", "", "in a form"),
        ('const a = "</script>";', "", "cannot hold"),
    ],
)
def test_what_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one: str, other: str, why: str) -> None:
    page = tmp_path / "site" / "page"
    page.mkdir(parents=True)
    monkeypatch.setattr(bundling, "PAGE", page)
    (page / "one.js").write_text(one + "\n")
    (page / "other.js").write_text(other + "\n")
    with pytest.raises(ValueError, match=re.escape(why)):
        bundle(page / "one.js")


def test_hashes() -> None:
    """As a browser takes them of what stands between the tags (the empty text's, as every list of hashes has it)."""
    assert source_hash("") == "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"

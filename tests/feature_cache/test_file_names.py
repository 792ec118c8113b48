"""Names of files for clips and labels: plain names stay, others become plain, none becomes another's."""

from hypothesis import given
from hypothesis import strategies as st

from feature_cache.file_names import MOST_BYTES, file_name


def test_plain_names_stay() -> None:
    for name in ("dog", "-4kH_x", "name#0", "a b", "犬", "a.b", "é", "x" * 251):
        assert file_name(name, ".tsv") == f"{name}.tsv"


def test_others_become_plain() -> None:
    for name in (
        "a/b",
        "..",
        ".",
        ".hidden",
        "a\\b",
        "c:d",
        "CON",
        "nul.txt",
        "a.",
        "a ",
        "x" * 252,
        "犬" * 90,
        "a\nb",
    ):
        found = file_name(name, ".tsv")
        assert found != f"{name}.tsv"
        assert "~" in found


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=300) | st.text("a/.:~", max_size=4)))
def test_legal_and_different(names: list[str]) -> None:
    found = {name: file_name(name, ".tsv") for name in names}
    assert len({*found.values()}) == len(found)
    for name in found.values():
        assert len(name.encode()) <= MOST_BYTES
        assert not set(name) & set('/\\:*?"<>|\0')
        assert not name.startswith(".")

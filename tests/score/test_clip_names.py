"""Every clip has a file of its own, below the folder and nowhere else, whatever its id."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from score.formats.clip_names import clip_of, file_name, file_names

odd = st.text(st.sampled_from([*"aAbB/.%:\\ ~2fF_", "é", "é", "犬", "\x00", "\ud800"]), min_size=1, max_size=8)
ids = (
    odd | st.text(min_size=1, max_size=400) | st.sampled_from(["CON", "nul.x", "..", "/", "//", "a" * 1000, "犬" * 300])
)


def key(name: str) -> str:
    """The same for names that some file system takes for the same."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFC", name).casefold())


@settings(max_examples=300, deadline=None)
@given(st.lists(ids, max_size=6, unique=True), st.sampled_from([".vtt", "_audio.txt"]))
def test_names_are_safe_and_different(clips: list[str], ending: str) -> None:
    names = file_names(clips, ending)
    found = [f"{names[number]}{ending}" for number in range(len(clips))]
    assert len({key(name) for name in found}) == len(clips)
    folders = {key("/".join(name.split("/")[:depth])) for name in found for depth in range(1, name.count("/") + 1)}
    assert not folders & {key(name) for name in found}, "a file where a folder has to be"
    for name in found:
        assert len(name.encode()) < 1300
        for part in name.split("/"):
            assert part not in ("", ".", "..")
            assert len(part.encode()) <= 255
            assert not set(part) & set('<>:"\\|?*\0')
            assert part.isprintable() or not any(unicodedata.category(char) in ("Cc", "Cs") for char in part)


@settings(max_examples=300, deadline=None)
@given(odd)
def test_there_and_back(clip: str) -> None:
    assert clip_of(file_name(clip)) == clip


@pytest.mark.parametrize(
    ("clip", "name"),
    [
        ("-0_aB.c-10_20", "-0_aB.c-10_20"),
        ("talks/day 1/α", "talks/day 1/α"),
        ("../../etc/passwd", "%2E%2E/%2E%2E/etc/passwd"),
        ("/etc", "%2F/etc"),
        ("a//b/", "a/%2F/b/%2F"),
        ("a\\b:c?", "a%5Cb%3Ac%3F"),
        ("100%", "100%"),
        ("100%25", "100%2525"),
        ("con.x/Aux", "%63on.x/%41ux"),
        ("a. ", "a.%20"),
        (".hidden", "%2Ehidden"),
    ],
)
def test_names(clip: str, name: str) -> None:
    assert file_name(clip) == name
    assert clip_of(name) == clip


def test_long_ones_and_those_that_only_case_sets_apart() -> None:
    assert file_name("n" * 200) == "n" * 200
    long = file_name("n" * 201)
    assert long.startswith("n" * 100)
    assert long == f"{'n' * 183}~{long[-16:]}"
    assert file_name("n" * 202) != long
    names = file_names(["Dog", "cat", "dog"])
    assert [names[number].split("~")[0] for number in range(3)] == ["Dog", "cat", "dog"]
    assert [len(names[number]) for number in range(3)] == [20, 3, 20]
    assert file_names(["dog"])[0] == "dog"
    again = file_names(["Dog", "dog", names[2]])
    assert len({again[number] for number in range(3)}) == 3


def test_a_folder_that_has_a_files_name() -> None:
    names = file_names(["a", "a.vtt/b", "A.VTT/c"], ".vtt")
    assert [names[number] for number in range(3)] == ["a", "a%2Evtt/b", "A%2EVTT/c"]
    assert [clip_of(names[number], ".vtt") for number in range(3)] == ["a", "a.vtt/b", "A.VTT/c"]


def test_strange_names_of_others_stay(tmp_path: Path) -> None:
    for name in ("a%20b", "a%zz", "x~0123456789abcdef", "%FF"):
        assert clip_of(name) == name

"""Label sets by name and from files."""

from pathlib import Path

import pytest

from extract import ExtractError, resolve_labels
from extract.label_sets import find_label_set, label_set_names


def test_packaged_sets() -> None:
    assert {"ave", "llp"} <= set(label_set_names())
    name, labels = resolve_labels("llp")
    assert (name, len(labels), labels[0], labels[5]) == ("llp", 25, "Speech", "Frying_(food)")
    name, labels = resolve_labels("ave")
    assert (name, len(labels), labels[2]) == ("ave", 28, "baby cry, infant cry")


@pytest.mark.parametrize("name", label_set_names())
def test_packaged_sets_are_sound(name: str) -> None:
    assert resolve_labels(name)[0] == name


def test_file(tmp_path: Path) -> None:
    path = tmp_path / "my labels (2).txt"
    path.write_bytes("\ufeff# mine\r\n\r\n  Dog \r\nChant d'été\r\n# x\r\n".encode())
    assert resolve_labels(path) == ("my_labels_2_", ["Dog", "Chant d'été"])
    assert resolve_labels(str(path))[1] == ["Dog", "Chant d'été"]
    odd = tmp_path / "_é_.txt"
    odd.write_text("a\nb\n")
    assert resolve_labels(odd)[0] == "labels"


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("aux.txt", "labels_aux"),
        ("Con.de.txt", "labels_Con.de"),
        ("COM1.txt", "labels_COM1"),
        ("console.txt", "console"),
        ("dots...txt", "dots"),
        (f"{'x' * 63}.y.txt", "x" * 63),
    ],
)
def test_names_that_some_systems_keep_for_themselves(file: str, name: str, tmp_path: Path) -> None:
    """A label set is a folder in the cache, and the cache may go to another system."""
    path = tmp_path / file
    try:
        path.write_text("a\nb\n")
    except OSError:
        pytest.skip("this system keeps it")
    assert resolve_labels(path)[0] == name


def test_file_equal_to_a_packaged_set_has_its_name(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("\n".join(resolve_labels("ave")[1]))
    assert resolve_labels(path)[0] == "ave"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "has 0 label"),
        (b"# a\n\nDog\n", "has 1 label"),
        (b"Dog\nCat\n\ndog\n", "line 4: 'dog' is on line 1 already"),
        (b"Dog\n\xff\xfe\n", "not UTF-8 text"),
    ],
)
def test_files_that_cannot_be_used(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(content)
    with pytest.raises(ExtractError, match=said):
        resolve_labels(path)


def test_unknown_name(tmp_path: Path) -> None:
    with pytest.raises(ExtractError, match=r"no label set 'nope' \(ave, .*llp, ov-avebench\) and no file"):
        resolve_labels("nope")
    with pytest.raises(ExtractError, match="no label set"):
        resolve_labels(tmp_path)


def test_a_set_that_brings_prompts(tmp_path: Path) -> None:
    found = find_label_set("ov-avebench")
    assert (found.name, len(found.labels), found.labels[0], found.labels[33]) == (
        "ov-avebench", 67, "airplane flyby", "ocean burbling"
    )  # fmt: skip
    assert found.visual_prompts == found.audio_prompts == ("{label}",)
    for name in ("ave", "llp", "demo"):
        assert find_label_set(name)[2:] == ((), ())
    same, other = tmp_path / "same.txt", tmp_path / "ov-avebench.txt"
    same.write_text("\n".join(found.labels))
    other.write_text("a\nb\n")
    assert find_label_set(same) == found
    assert find_label_set(other) == ("ov-avebench", ["a", "b"], (), ())


OFFICIAL = Path(__file__).parents[3] / "shared/annotations/ov_avebench/ovave_total_close_open_categories.csv"


@pytest.mark.skipif(not OFFICIAL.exists(), reason="the data set's files are not here")
def test_ov_avebench_is_the_data_sets_list() -> None:
    assert OFFICIAL.read_text("utf-8").split("\n") == [*resolve_labels("ov-avebench")[1], "other"]

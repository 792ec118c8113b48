"""Names of clips and labels: any script is text; what would act on a terminal is refused."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest

from extract import ExtractError
from extract.label_sets import read_labels
from feature_cache import CacheError, layout
from feature_cache.checks import check_clip_ids
from feature_cache.names import Names, composed, escaped, folded, why_not_a_name
from feature_cache.text import check_labels

GOOD = {
    "narrow no-break space": "Screen Recording 2024-05-01 at 3.00.00\u202fPM",
    "ideographic space": "犬\u3000吠える",
    "zero width non-joiner": "می\u200cخواهم",
    "emoji with joiners": "\U0001f468\u200d\U0001f469\u200d\U0001f467 speaks",
    "emoji with a variation selector": "\u2764\ufe0f",
    "flag of tags": "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "no-break space": "chien\u00a0!",
    "soft hyphen": "Hunde\u00adgebell",
    "byte-order mark inside": "a\ufeffb",
    "direction marks": "כלב\u200f (dog)\u200e",
    "decomposed": unicodedata.normalize("NFD", "café"),
    "private use": "\ue000",
    "beyond the first plane": "\U00020bb7",
    "word joiner": "a\u2060b",
    "hangul filler": "\u3164x",
    "unassigned": "\u0378",
    "not a character": "\ufffe\U0010ffff",
    "backslash": "a\\x1b",
}
BAD = {
    "\x1b[31mred": ("control character U+001B", "\\x1b[31mred"),
    "two\nlines": ("control character U+000A", "two\\x0alines"),
    "a\tb": ("control character U+0009", "a\\x09b"),
    "a\x00": ("control character U+0000", "a\\x00"),
    "a\x7f": ("control character U+007F", "a\\x7f"),
    "a\x9b31m": ("control character U+009B", "a\\u009b31m"),
    "a\u2028b": ("control character U+2028", "a\\u2028b"),
    "a\u2029b": ("control character U+2029", "a\\u2029b"),
    "gpj\u202emp4": ("U+202E, which turns", "gpj\\u202emp4"),
    "a\u202ab": ("U+202A, which turns", "a\\u202ab"),
    "a\u2066b": ("U+2066, which turns", "a\\u2066b"),
    "a\u2069b": ("U+2069, which turns", "a\\u2069b"),
    "caf\udce9": ("not UTF-8 (byte 0xE9)", "caf\\xe9"),
    "a\ud800b": ("not UTF-8 (half a character, U+D800)", "a\\ud800b"),
}


@pytest.mark.parametrize("text", GOOD.values(), ids=list(GOOD))
def test_ordinary_text(text: str, tmp_path: Path) -> None:
    assert why_not_a_name(text) is None
    assert escaped(text) == text
    assert check_clip_ids([text, "other"]) == [text, "other"]
    assert check_labels([text, "other"]) == (text, "other")
    (tmp_path / "labels.txt").write_text(f"{text}\nother\n", encoding="utf-8")
    assert read_labels(tmp_path / "labels.txt") == [text, "other"]


@pytest.mark.parametrize("text", BAD, ids=[ascii(text) for text in BAD])
def test_what_is_refused(text: str, tmp_path: Path) -> None:
    why, shown = BAD[text]
    found = why_not_a_name(text)
    assert found is not None
    assert why in found
    assert escaped(text) == shown
    assert why_not_a_name(escaped(text)) is None
    messages = []
    with pytest.raises(CacheError) as caught:
        check_clip_ids(["fine", text])
    messages.append(str(caught.value))
    with pytest.raises(CacheError) as caught:
        check_labels(["fine", text])
    messages.append(str(caught.value))
    file = tmp_path / "labels.txt"
    file.write_bytes(f"fine\n{text}\n".encode("utf-8", "surrogatepass"))
    if "\n" not in text:
        with pytest.raises(ExtractError, match=r"labels\.txt(, line 2|.*UTF-8)") as other:
            read_labels(file)
        messages.append(str(other.value))
    for message in messages:
        assert message.isprintable(), message


def test_every_character_has_one_of_two_fates() -> None:
    """A stand-in is legal whatever the character was, and refused characters are few."""
    refused = [code for code in range(0x110000) if why_not_a_name(chr(code)) is not None]
    assert len(refused) == 65 + 2 + 9 + 2048
    for code in refused:
        stand_in = escaped(f"a{chr(code)}b")
        assert stand_in.isascii()
        assert stand_in.isprintable()
    assert len({escaped(chr(code)) for code in refused}) == len(refused)


def test_file_names_read_without_utf8_are_put_together() -> None:
    raw = "犬 é.mp4".encode().decode("ascii", "surrogateescape")
    assert why_not_a_name(raw) is None
    assert escaped(raw) == "犬 é.mp4"
    assert why_not_a_name("\u202e".encode().decode("ascii", "surrogateescape")) is not None
    assert escaped("\udce7\udc8a") == "\\xe7\\x8a"
    with pytest.raises(CacheError, match="is no clip id: it is not UTF-8"):
        check_clip_ids([raw])
    with pytest.raises(CacheError, match="is no label: it is not UTF-8"):
        check_labels([raw, "other"])


def test_reasons_can_be_shown() -> None:
    said = layout.encode_reason("a\x1b[31m\udce9.mp4:\n  no video")
    assert layout.decode_reason(said) == "a\\x1b[31m\\xe9.mp4: no video"
    foreign = np.frombuffer(b"\x1b]0;owned\x07".ljust(layout.REASON_BYTES, b"\0"), dtype=np.uint8)
    assert layout.decode_reason(foreign) == "\\x1b]0;owned\\x07"


def test_the_empty_text_names_nothing() -> None:
    assert why_not_a_name("") == "it is empty"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("café", unicodedata.normalize("NFD", "CAFÉ")),
        ("ガラス", unicodedata.normalize("NFD", "ガラス")),
        ("개", unicodedata.normalize("NFD", "개")),
        ("STRASSE", "straße"),
        ("Σίσυφος", "ΣΊΣΥΦΟΣ"),
    ],
)
def test_a_label_twice_in_another_form(first: str, second: str, tmp_path: Path) -> None:
    assert folded(first) == folded(second)
    with pytest.raises(CacheError, match="occurs twice"):
        check_labels([first, second])
    (tmp_path / "labels.txt").write_text(f"{first}\n{second}\n", encoding="utf-8")
    with pytest.raises(ExtractError, match=r"line 2: .* is on line 1 already"):
        read_labels(tmp_path / "labels.txt")


def test_clip_ids_in_two_forms_are_two_clips() -> None:
    both = ["café", unicodedata.normalize("NFD", "café")]
    assert check_clip_ids(both) == both


def test_an_equal_name_goes_before_one_in_another_form() -> None:
    nfc, nfd = "café", unicodedata.normalize("NFD", "café")
    both = Names([nfd, nfc, "dog"])
    assert (both.find(nfc), both.find(nfd), both.find("cat")) == (nfc, nfd, None)
    assert Names([nfd]).find(nfc) == nfd
    assert Names([nfc]).find(nfd) == nfc
    third = "cafe\u0301\u0323", "cafe\u0323\u0301"  # the same in NFC, and neither is in it
    assert composed(third[0]) == composed(third[1])
    two = Names(third)
    assert two.find(composed(third[0])) is None
    assert two.like(composed(third[0])) == list(third)
    assert Names(["Dog"], form=folded).find("dOG") == "Dog"


def test_label_files_with_a_mark_and_other_line_ends(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_bytes("\ufeff犬\u3000吠える\r\n\r\n# no label\r\n \u3000猫 \r\n".encode())
    assert read_labels(tmp_path / "labels.txt") == ["犬\u3000吠える", "猫"]

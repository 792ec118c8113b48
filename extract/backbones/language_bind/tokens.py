"""Sentences to CLIP's token ids."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from extract.backbones.weights import first_line, quiet
from extract.errors import ExtractError

TOKENIZER_FILES = ("vocab.json", "merges.txt")
OTHER_TOKENIZER_FILE = "tokenizer.json"

LENGTH = 77
START, END = 49406, 49407


class Tokeniser:
    """CLIP's byte-pair encoding, from a checkpoint's files or from the table in open_clip.

    Attributes:
        source: names of the files, or of the package.
    """

    def __init__(self, encode: Callable[[str], list[int]], source: str) -> None:
        """``encode`` turns a sentence into ids with start and end, however long it is."""
        self._encode, self.source = encode, source

    @classmethod
    def from_folder(cls, folder: Path) -> "Tokeniser":
        """From tokenizer.json or vocab.json and merges.txt; without them from open_clip, which has the same table.

        Raises:
            ExtractError: the files are damaged or not CLIP's.
        """
        if all((folder / name).is_file() for name in TOKENIZER_FILES):
            names: tuple[str, ...] = TOKENIZER_FILES
        elif (folder / OTHER_TOKENIZER_FILE).is_file():
            names = (OTHER_TOKENIZER_FILE,)
        else:
            return cls(_open_clip(), "open_clip")
        try:
            encode = _transformers(folder)
            ids = encode("a")
        except Exception as error:  # transformers raises what it likes on damaged files
            raise ExtractError(f"{folder / names[0]}: cannot be used as tokenizer ({first_line(error)})") from error
        if len(ids) != 3 or (ids[0], ids[-1]) != (START, END):
            raise ExtractError(
                f"{folder / names[0]}: not CLIP's tokenizer (`a` becomes {ids}, not {START}, …, {END}); "
                "without such files the standard one is used"
            )
        return cls(encode, ", ".join(names))

    def __call__(self, sentences: Sequence[str]) -> Tensor:
        """Sentences to int64 (n, 77): start, words, end, and the end's id as padding; longer ones are cut."""
        rows = torch.full((len(sentences), LENGTH), END)
        for row, sentence in zip(rows, sentences, strict=True):
            ids = self._encode(sentence)[: LENGTH - 1]  # what was cut ends, too: with the padding's id
            row[: len(ids)] = torch.tensor(ids)
        return rows

    def cut(self, sentences: Sequence[str]) -> list[bool]:
        """Which sentences are longer."""
        return [len(self._encode(sentence)) > LENGTH for sentence in sentences]


def _transformers(folder: Path) -> Callable[[str], list[int]]:
    with quiet():
        from transformers import CLIPTokenizer

        tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)

    def encode(sentence: str) -> list[int]:
        return [int(i) for i in tokenizer(sentence, truncation=False, verbose=False)["input_ids"]]

    return encode


def _open_clip() -> Callable[[str], list[int]]:
    with quiet():
        import open_clip

        tokenizer = open_clip.get_tokenizer("ViT-L-14")

    def encode(sentence: str) -> list[int]:
        return [START, *tokenizer.encode(sentence), END]

    return encode

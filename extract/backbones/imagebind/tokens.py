"""Sentences to CLIP's token ids, as ImageBind reads them: whoever spells out the start or the end has written it."""

import re

from extract.backbones.language_bind.tokens import END, START, Tokeniser
from extract.backbones.weights import quiet

_SPELLED = {"<|startoftext|>": START, "<|endoftext|>": END}
_PARTS = re.compile(
    r"(<\|(?:startoftext|endoftext)\|>)"
    r"|(?<=<)(?=(?:start|end)_of_text>)",  # open_clip's own spelling, which means nothing here
    re.IGNORECASE,
)


def tokeniser() -> Tokeniser:
    """The byte-pair encoding with the table that is in open_clip."""
    with quiet():
        import open_clip

        known = open_clip.get_tokenizer("ViT-H-14")

    def encode(sentence: str) -> list[int]:
        ids = [START]
        for part in filter(None, _PARTS.split(sentence)):
            special = _SPELLED.get(part.lower())
            ids += known.encode(part) if special is None else [special]
        return [*ids, END]

    return Tokeniser(encode, "open_clip")

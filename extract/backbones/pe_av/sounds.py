"""Sound to tokens, 25 a second: what the windows of one waveform have in common is computed once.

A token is made of the samples around it by convolutions alone. Those of a window are the whole waveform's but near its
begin and its end, where the encoder sees silence instead of what was there. So three kinds of runs are made through the
convolutions: blocks of the waveform, begins and ends; a window's tokens are put together from these.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

BLOCK = 250
"""Tokens that a block of the waveform has: ten seconds. Bounds the memory that convolutions take."""


@dataclass(frozen=True)
class Field:
    """Which samples make up a token.

    Attributes:
        hop: samples from one token to the next.
        before: samples that token t takes from before sample t · hop.
        after: the last sample that it takes, counted from t · hop.
    """

    hop: int
    before: int
    after: int

    @classmethod
    def of(cls, convolutions: nn.Module) -> "Field":
        """That of a stack of convolutions, which run in the order in which they are registered."""
        hop, first, last = 1, 0, 0
        for layer in reversed([each for each in convolutions.modules() if isinstance(each, nn.Conv1d)]):
            stride, kernel, dilation = layer.stride[0], layer.kernel_size[0], layer.dilation[0]
            padding = int(layer.padding[0])
            first = first * stride - padding
            last = last * stride - padding + dilation * (kernel - 1)
            hop *= stride
        return cls(hop, -first, last)

    def tokens(self, samples: int) -> int:
        """How many tokens a stretch has, at least one."""
        return max(1, -(-samples // self.hop))


class Run(NamedTuple):
    """A stretch of the waveform that goes through the convolutions by itself: its first sample and the one after it."""

    begin: int
    end: int


class Piece(NamedTuple):
    """Tokens ``first`` … ``last`` - 1 of a run."""

    run: Run
    first: int
    last: int


def pieces_of(stretches: NDArray[Any], field: Field, samples: int, block: int = BLOCK) -> list[list[Piece]]:
    """Which runs give the tokens of each stretch; the cheaper of one run a stretch and of shared ones.

    Args:
        stretches: int64 (n, 2), begin and end of each in the waveform.
        field: of a token.
        samples: length of the waveform.
        block: tokens of a block of it.
    """
    pairs = [(int(begin), int(end)) for begin, end in stretches]
    alone = [[Piece(Run(begin, end), 0, field.tokens(end - begin))] for begin, end in pairs]
    shared = [_shared(begin, end, field, samples, block) or alone[at] for at, (begin, end) in enumerate(pairs)]
    long = any(field.tokens(end - begin) > 2 * block for begin, end in pairs)
    return shared if long or _cost(shared, field) < _cost(alone, field) else alone


def _cost(pieces: list[list[Piece]], field: Field) -> int:
    return sum(field.tokens(run.end - run.begin) for run in {each.run for some in pieces for each in some})


def _shared(begin: int, end: int, field: Field, samples: int, block: int) -> list[Piece]:
    """A stretch's begin, blocks of the waveform, the stretch's end; empty where it is too short for that."""
    hop, count = field.hop, field.tokens(end - begin)
    inside = -(-field.before // hop)
    after = (end - begin - 1 - field.after) // hop + 1  # the first that takes from behind the end
    begin_end = begin + -(-((inside - 1) * hop + field.after + 1) // hop) * hop
    if after <= inside or begin_end > end:
        return []
    found = [Piece(Run(begin, begin_end), 0, inside)]
    zero, at = divmod(begin, hop)[1], begin // hop + inside  # tokens counted from sample `zero`
    while at < begin // hop + after:
        number = at // block
        upto = min(begin // hop + after, (number + 1) * block)
        first = max(0, number * block - inside)
        last = zero + ((number + 1) * block) * hop + field.after + 1
        found.append(Piece(Run(zero + first * hop, min(samples, last)), at - first, upto - first))
        at = upto
    skipped = (after * hop - field.before) // hop
    return [*found, Piece(Run(begin + skipped * hop, end), after - skipped, count - skipped)]


def filled(wave: Tensor, hop: int) -> Tensor:
    """A stretch as the convolutions take it: mirrored at its end to whole hops, as by the model's feature extractor.

    What is shorter than one hop, nothing at all too, is filled with silence.

    Args:
        wave: float32 (samples,).
        hop: samples of a hop.
    """
    length = int(wave.shape[0])
    lacking = max(hop, -(-length // hop) * hop) - length
    if not lacking:
        return wave
    if length < hop:
        return functional.pad(wave, (0, lacking))
    return functional.pad(wave[None], (0, lacking), mode="reflect")[0]


def batches(runs: Sequence[Run], field: Field, most: int = 2 * BLOCK) -> Iterator[list[Run]]:
    """Runs of equal length together, of at most so many tokens in all (but at least one run)."""
    by_length: dict[int, list[Run]] = {}
    for run in runs:
        by_length.setdefault(field.tokens(run.end - run.begin), []).append(run)
    for tokens, equal in sorted(by_length.items()):
        step = max(1, most // tokens)
        yield from (equal[at : at + step] for at in range(0, len(equal), step))


class SoundEmbedder:
    """The convolutions of PE-AV's audio encoder, and what makes tokens of theirs."""

    def __init__(self, embedder: nn.Module) -> None:
        """Take over a PeAudioEncoderEmbedder of transformers."""
        self._convolutions: nn.Module = embedder.dac_encoder  # type: ignore[assignment]
        self._narrow: nn.Module = embedder.bottleneck  # type: ignore[assignment]
        self._project: nn.Module = embedder.data_proj  # type: ignore[assignment]
        self.field = Field.of(self._convolutions)

    def whole(self, waves: Tensor) -> Tensor:
        """Waveforms of whole hops, float32 (n, samples), to tokens (n, samples / hop, E)."""
        narrow = self._narrow(self._convolutions(waves[:, None]))
        tokens: Tensor = self._project(narrow.transpose(1, 2))
        return tokens

    def of_stretches(self, wave: Tensor, stretches: NDArray[Any]) -> list[Tensor]:
        """The tokens of each stretch of a waveform, (S, E) each.

        Args:
            wave: float32 (samples,), on the device.
            stretches: int64 (n, 2), begin and end of each.
        """
        pieces = pieces_of(stretches, self.field, int(wave.shape[0]))
        tokens: dict[Run, Tensor] = {}
        for together in batches(list(dict.fromkeys(each.run for some in pieces for each in some)), self.field):
            waves = [filled(wave[run.begin : run.end], self.field.hop) for run in together]
            tokens |= zip(together, self.whole(torch.stack(waves)), strict=True)
        return [torch.cat([tokens[run][first:last] for run, first, last in some]) for some in pieces]

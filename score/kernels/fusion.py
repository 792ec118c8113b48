"""The audiovisual stream of rules whose streams are bitmasks, where it follows from picture and sound (4.7)."""

from feature_cache.layout import NO_PICTURE
from score.choices import AUDIO, AUDIOVISUAL, VISUAL
from score.kernels.jit import lean
from score.kernels.judge import Said, copy


@lean
def stand_in(said: Said, missing: int) -> None:
    """In a clip without picture or sound: what is there."""
    left = AUDIO if missing == NO_PICTURE else VISUAL
    for c in range(said.on.shape[1]):
        said.on[AUDIOVISUAL, c] = said.on[left, c]
        if said.on[left, c] != 0:
            copy(said.value[left, c], said.value[AUDIOVISUAL, c])


@lean
def both_at_once(said: Said) -> None:
    """Late fusion: segments that are on in both; of their values the smaller."""
    for c in range(said.on.shape[1]):
        both = said.on[VISUAL, c] & said.on[AUDIO, c]
        said.on[AUDIOVISUAL, c] = both
        if both != 0:
            for t in range(said.value.shape[2]):
                said.value[AUDIOVISUAL, c, t] = min(said.value[VISUAL, c, t], said.value[AUDIO, c, t])

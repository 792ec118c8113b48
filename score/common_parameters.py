"""Parameters that several rules have: what a segment's sound is, what is subtracted from embeddings."""

from typing import TYPE_CHECKING

from score.choices import SOUNDS
from score.errors import ScoreError
from score.parameters import fixed_choice, flag, free_text

if TYPE_CHECKING:
    from feature_cache import FeatureCache

CLIP, WINDOWS, SEGMENTS = SOUNDS
NO_CENTER, OWN_CENTER = "none", "cache"


def sound_parameter() -> str:
    """The field that says which rows of sound a rule takes."""
    found: str = fixed_choice(CLIP, names=SOUNDS, help="what a segment's sound is")
    return found


def center_parameter(default: str = NO_CENTER) -> str:
    """The field that says what is subtracted from unit embeddings."""
    found: str = free_text(
        default, metavar=f"{NO_CENTER}|{OWN_CENTER}|FILE", help="mean taken off embeddings: the cache's, a file's"
    )
    return found


def carry_parameter() -> bool:
    """The field that says whether what a clip tells of labels runs on over the clips of its file (4.9)."""
    found: bool = flag(False, help="what is known of labels runs on over a file", off="no-carry")
    return found


def sound_of(cache: "FeatureCache") -> str:
    """What a rule takes where nothing is given: the finest that a cache holds."""
    if "audio_segments" in cache.arrays or cache.kind == "probabilities":
        return SEGMENTS
    return WINDOWS if cache.windows_kept == "all" else CLIP


def check_sound(cache: "FeatureCache", sound: str) -> None:
    """Refuse rows of sound that a cache does not hold.

    Raises:
        ScoreError: so.
    """
    if cache.kind == "probabilities":
        return  # a detector's own, a segment each
    if sound == SEGMENTS and "audio_segments" not in cache.arrays:
        raise ScoreError(
            f"{cache.path} holds no sound of its segments: `extract_videos(..., add='audio-segments')` adds it, or use "
            f"`sound='{sound_of(cache)}'`"
        )
    if sound == WINDOWS and cache.windows_kept != "all":
        raise ScoreError(
            f"{cache.path} does not hold every window, from which the sound is made: `extract_videos(..., "
            f"windows='all')`, or use `sound='{sound_of(cache)}'`"
        )
    if sound == CLIP and "audio" not in cache.arrays:
        raise ScoreError(f"{cache.path} holds no sound of whole clips: use `sound='segments'`")

"""What is recorded of a run, and what of it may differ when a run is gone on with."""

from importlib.metadata import PackageNotFoundError, version
from typing import Any

_PACKAGES = ("av2a", "av", "numpy", "open_clip_torch", "soxr", "torch", "transformers")
_MAY_DIFFER = {"batch_size", "clips_from", "device", "file", "files", "origin", "packages", "stamps"}
"""Facts that are recorded, but may differ when a run is gone on with: they change no more than rounding
(hashes tell weights apart, whatever their files are called)."""


def versions() -> dict[str, str]:
    """Of the packages that embeddings depend on, as installed."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def differences(before: Any, now: Any, path: str = "", *, only_new: bool = False) -> list[str]:
    """Leaves in which two nested facts differ, as text, but for those that may.

    Args:
        before: facts of a cache.
        now: facts of the present.
        path: where in the facts these are.
        only_new: leave out facts that are in ``before`` alone.
    """
    if isinstance(before, dict) and isinstance(now, dict):
        found = []
        for key in now if only_new else [*before, *(key for key in now if key not in before)]:
            if key not in _MAY_DIFFER:
                below = f"{path}.{key}" if path else key
                found += differences(before.get(key), now.get(key), below, only_new=only_new)
        return found
    if before == now:
        return []
    return [f"{path} {_short(before)}, now {_short(now)}"]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."

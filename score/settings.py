"""Settings of a cache: which apply to it, and where they come from; files of them (docs/design.md 3, 4)."""

import json
import tomllib
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from feature_cache import FeatureCache
from feature_cache.names import shortened
from feature_cache.text_files import TextFileError, read_text
from score.config import ScoreConfig
from score.errors import ScoreError
from score.parameters import describe

MOST_BYTES = 100_000
"""Of a file of settings."""
MOST_IN_A_LINE = 1000
"""Characters: reading a dotted key takes time that grows with the square of its parts."""


def settings_for(cache: FeatureCache, file: str | PathLike[str] | None = None, **given: Any) -> ScoreConfig:
    """Settings to score a cache with: what is given first, then a file's, what the cache's kind needs, the published.

    Args:
        cache: an open cache.
        file: a TOML or JSON file with some or all parameters; None: there is none.
        given: parameters by name; None counts as not given.

    Raises:
        ScoreError: an unknown parameter, a value out of its range, a file that cannot be read, or nothing published
            for the cache's backbone where a parameter is not given.

    Example:
        >>> settings_for(cache, alpha=0.4).alpha
        0.4
    """
    chosen = {
        **({} if file is None else read_parameters(file)),
        **{name: value for name, value in given.items() if value is not None},
    }
    return ScoreConfig.for_backbone(cache.backbone, {**defaults_for(cache, chosen), **chosen})


def read_parameters(path: str | PathLike[str]) -> dict[str, Any]:
    """Scoring parameters from a TOML file, or a JSON file if its name ends so; not all need be given.

    Raises:
        ScoreError: the file cannot be read, or holds something else than scoring parameters.
    """
    file = Path(path)
    try:
        text = read_text(file, MOST_BYTES)
    except TextFileError as error:
        raise ScoreError(str(error)) from error
    try:
        found = _from_json(text) if file.suffix.lower() == ".json" else _from_toml(text)
    except RecursionError as error:
        raise ScoreError(f"{file} is nested too deeply: parameters are single values, such as alpha = 0.5") from error
    except ValueError as error:
        raise ScoreError(f"{file} cannot be read: {shortened(str(error), 120)}: correct it there") from error
    names = describe(ScoreConfig)
    if not isinstance(found, dict):
        raise ScoreError(f"{file}: a table of parameters is expected, such as alpha = 0.5")
    if not found:
        raise ScoreError(f"{file} is empty, or was cut off: a parameter is expected, such as alpha = 0.5")
    for name in found:
        if name not in names:
            raise ScoreError(f"{file}: unknown parameter {shortened(name, 60)!r}: there are {', '.join(names)}")
    try:
        return {name: names[name].check(value) for name, value in found.items()}
    except ScoreError as error:
        raise ScoreError(f"{file}: {error}") from error


def _from_toml(text: str) -> dict[str, Any]:
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > MOST_IN_A_LINE and not line.lstrip().startswith("#"):
            raise ValueError(f"line {number} has {len(line):,} characters, at most {MOST_IN_A_LINE:,} are read")
    return tomllib.loads(text)


def _from_json(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_each_once)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{shortened(name, 60)!r} is there twice")
        found[name] = value
    return found


def to_toml(config: ScoreConfig, comments: list[str]) -> str:
    """A configuration as :func:`read_parameters` reads it, under comment lines."""
    lines = [f"# {comment}" for comment in comments]
    lines += [f"{name} = {json.dumps(value)}" for name, value in config.to_dict().items()]
    return "\n".join(lines) + "\n"


def fitting(cache: FeatureCache, config: ScoreConfig) -> ScoreConfig:
    """The settings as they apply to a cache.

    Without the windows' embeddings an event's score can only be pooled, even where nothing is refined by it.

    Raises:
        ScoreError: refinement without windows, or label shift by `cosine` without images.
    """
    if "cosine" in config.method and not cache.has_images:
        raise ScoreError(
            f"{cache.path} holds no image embeddings, which method {config.method} compares: use `method='bbse'`"
        )
    if cache.windows_kept == "all" or config.pooled_windows:
        return config
    if config.refinement:
        if cache.kind == "probabilities":
            raise ScoreError(
                f"{cache.path} holds probabilities of segments, no windows that refinement needs: use "
                "`refinement=False`, or `pooled_windows=True` (approximate)"
            )
        raise ScoreError(
            f"{cache.path} does not hold every window, which refinement needs: "
            "`extract_videos(..., windows='all')`, or use `pooled_windows=True` (approximate) or `refinement=False`"
        )
    return config.replace(pooled_windows=True)


def defaults_for(cache: FeatureCache, given: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters that are not given and that a cache's kind decides, not its backbone.

    A cache of probabilities is scored without refinement, and without the images' cosine if it holds no images.

    Args:
        cache: an open cache.
        given: parameters that are given, by name.
    """
    found: dict[str, Any] = {}
    if not cache.has_images:
        found["method"] = "bbse"
    if cache.kind == "probabilities" and not given.get("pooled_windows"):
        found["refinement"] = False
        if not given.get("refinement"):
            found["threshold_stage2"] = 0.5  # of no effect
    return {name: value for name, value in found.items() if given.get(name) is None}

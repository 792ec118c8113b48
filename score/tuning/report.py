"""What a setting is worth on a split, with confidence intervals, and settings as TOML."""

import json
from dataclasses import dataclass

import numpy as np

from score.config import ScoreConfig
from score.tuning.bootstrap import RESAMPLES, confidence_intervals
from score.tuning.space import PARAMETERS, Space
from score.tuning.sweeper import Sweeper


@dataclass(frozen=True)
class SplitReport:
    """Figures of one setting on one split.

    Attributes:
        split: the split's name.
        n_found: clips scored.
        n_split: clips of the split.
        figures: by name, mean and the ends of its 95 % interval over clips, in percent.
    """

    split: str
    n_found: int
    n_split: int
    figures: dict[str, tuple[float, float, float]]


def report_split(
    sweeper: Sweeper, split: str, config: ScoreConfig, space: Space, *, resamples: int = RESAMPLES, seed: int = 0
) -> SplitReport:
    """Figures of a setting on a sweeper's clips, with percentile bootstrap intervals over them."""
    setting = np.zeros(1, dtype=PARAMETERS)
    for name in PARAMETERS.names or ():
        setting[name] = getattr(config, name)
    values = sweeper.per_clip(setting, space)
    ends = confidence_intervals(values, resamples=resamples, seed=seed)
    means = values.mean(axis=0)
    figures = {
        name: (float(means[k]), float(ends[k, 0]), float(ends[k, 1])) for k, name in enumerate(sweeper.metric_names)
    }
    return SplitReport(split, sweeper.n_found, sweeper.n_split, figures)


def to_toml(config: ScoreConfig, comments: list[str]) -> str:
    """A configuration that `av2a score --config` reads, under comment lines."""
    lines = [f"# {comment}" for comment in comments]
    lines += [f"{name} = {json.dumps(value)}" for name, value in config.to_dict().items()]
    return "\n".join(lines) + "\n"

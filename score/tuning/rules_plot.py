"""A picture of rules side by side: a panel a figure, a row a rule, dots with their 95 % intervals."""

import io
from os import PathLike
from pathlib import Path

from score.errors import ScoreError
from score.tuning.rules_compared import RulesCompared

ENDINGS = (".png", ".pdf", ".svg")
_CLEAR, _UNCLEAR, _BASE = "tab:blue", "tab:gray", "black"


def picture_path(path: str | PathLike[str]) -> Path:
    """The file of a picture: the path itself, or ``rules.png`` in it.

    Raises:
        ScoreError: matplotlib is not installed, or it draws no such files.
    """
    try:
        import matplotlib as _  # noqa: F401
    except ModuleNotFoundError as error:
        raise ScoreError("pictures need matplotlib: pip install 'av2a[search]'") from error
    found = Path(path)
    if found.is_dir() or not found.suffix:
        return found / "rules.png"
    if found.suffix.lower() not in ENDINGS:
        raise ScoreError(f"{found}: a picture ends in {', '.join(ENDINGS)}, or is a folder that gets rules.png")
    return found


def plot_rules(found: RulesCompared, path: str | PathLike[str]) -> bytes:
    """Draw a comparison of rules.

    A line marks the baseline; rules whose paired difference from it leaves 0 out are in colour.

    Args:
        found: the rules.
        path: for the kind of file, by its ending.

    Returns:
        The file's content.
    """
    from matplotlib.figure import Figure

    names, rows = found.figures, found.rows
    figure = Figure(figsize=(1.6 + 2.7 * len(names), 1.5 + 0.45 * len(rows)), layout="constrained")
    axes = figure.subplots(1, len(names), sharex=True, sharey=True, squeeze=False)[0]
    for axis, name in zip(axes, names, strict=True):
        axis.axvline(found.baseline.report.figures[name][0], color=_BASE, linewidth=0.8, linestyle=":")
        for place, row in enumerate(rows):
            value, low, high = row.report.figures[name]
            if value != value:
                continue
            _, *ends = found.differences(row)[name]
            colour = _BASE if not place else _CLEAR if ends[0] > 0 or ends[1] < 0 else _UNCLEAR
            axis.plot([low, high], [place, place], color=colour, linewidth=2, solid_capstyle="butt")
            axis.plot(value, place, "o", color=colour, markersize=6)
            axis.annotate(
                f"{value:.1f}",
                (value, place),
                (0, 6),
                textcoords="offset points",
                ha="center",
                fontsize=8,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
            )
        axis.set_xlabel(f"{name} (%)")
        axis.grid(axis="x", alpha=0.3)
        axis.set_ylim(len(rows) - 0.5, -0.6)
    axes[0].set_yticks(range(len(rows)), [row.entry.name for row in rows])
    report, base = found.baseline.report, found.baseline.entry.name
    tuned = found.baseline.tuned
    how = f", {found.samples:,} settings of each rule on {tuned.split or 'the same'}" if tuned is not None else ""
    figure.suptitle(f"{report.n_found:,} clips{f' of {report.split}' * bool(report.split)}{how}", fontsize=11)
    figure.supxlabel(f"bars: 95 % over clips; blue: paired difference from {base} leaves 0 out", fontsize=8)
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=150, format=Path(path).suffix[1:].lower())
    return drawn.getvalue()

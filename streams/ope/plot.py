"""The estimates as a drawing: a dot with its interval for each policy and estimator. Equal results give equal SVG."""

import io
from typing import Final

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from models.ope.result import OffPolicyEvaluation
from streams.evaluation_report.words import printable
from streams.ope.report import PER

COLOURS: Final = ("#1f6fb4", "#c2571a", "#2c8a4b", "#8a8a8a")
WIDTH, ROW, AROUND = 7.0, 0.22, 1.2
"""Inches: of the drawing, of a row, and of what is above and below the rows."""


def svg(result: OffPolicyEvaluation) -> str:
    """A file of its own."""
    n_rows = sum(len(policy.estimates) + 1 for policy in result.policies)
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "rillet", "text.parse_math": False}):
        figure = Figure(figsize=(WIDTH, AROUND + ROW * n_rows), layout="constrained")
        _draw(figure.add_subplot(), result)
        out = io.BytesIO()
        figure.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue().decode()


def _draw(axes: Axes, result: OffPolicyEvaluation) -> None:
    truth = result.on_policy
    axes.axvspan(PER * truth.low, PER * truth.high, color="#dddddd", label="earned by the policy that ran")
    axes.axvline(PER * truth.mean, color="#555555", linewidth=1)
    row, ticks, seen = 0, [], set()
    for policy in result.policies:
        ticks.append(
            (row + (len(policy.estimates) - 1) / 2, printable(policy.policy) + (" !" if policy.thin else ""))
        )
        for n, estimate in enumerate(policy.estimates):
            if estimate.value is not None:
                mean, low, high = (PER * bound for bound in estimate.value)
                name = None if estimate.estimator in seen else estimate.estimator
                seen.add(estimate.estimator)
                axes.plot([low, high], [row, row], color=COLOURS[n % len(COLOURS)], linewidth=2)
                axes.plot([mean], [row], "o", color=COLOURS[n % len(COLOURS)], markersize=5, label=name)
            row += 1
        row += 1
    axes.set_yticks([at for at, _ in ticks], [name for _, name in ticks])
    axes.invert_yaxis()
    axes.set_xlabel(f"estimated reward for {PER:,} rounds, 95% intervals")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False, fontsize=9)

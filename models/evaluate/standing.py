"""What strategies of a closed loop were worth beside one another, over seeds and over time."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from msgspec import Struct

from models.evaluate.closed_loop import OF_ITEMS, Outcome
from models.evaluate.intervals import Interval
from models.evaluate.trials import F64

NEW: Final = 1
"""Column of new items."""


def measures(outcome: Outcome) -> dict[str, float]:
    """Rates over the whole outcome; nan where there is nothing to divide by."""
    n = outcome.impressions.sum()
    total = {name: getattr(outcome, name).sum(axis=0) for name in OF_ITEMS}  # (2,)
    offered, shown = outcome.offered.sum(), total["shown"]
    return {
        "click_rate": _ratio(total["clicks"].sum(), n),
        "expected_click_rate": _ratio(outcome.expected.sum(), offered),
        "regret": _ratio((outcome.best - outcome.expected).sum(), offered),
        "dismissal_rate": _ratio(total["dismissals"].sum(), n),
        "cart_rate": _ratio(total["carts"].sum(), n),
        "purchase_rate": _ratio(total["purchases"].sum(), n),
        "share_of_new_items": _ratio(shown[NEW], shown.sum()),
        "clicks_per_new_item_shown": _ratio(total["clicks"][NEW], shown[NEW]),
        "clicks_per_other_item_shown": _ratio(total["clicks"][1 - NEW], shown[1 - NEW]),
        "purchases_per_new_item_shown": _ratio(total["purchases"][NEW], shown[NEW]),
        "purchases_per_other_item_shown": _ratio(total["purchases"][1 - NEW], shown[1 - NEW]),
    }


class Standing(Struct, frozen=True):
    """One strategy among others, over the seeds. Intervals are of the mean over seeds; None where too few had one."""

    name: str
    counts: dict[str, int]
    """Impressions, clicks and so on of all seeds together."""
    measures: dict[str, Interval | None]
    differences: dict[str, Interval | None]
    """To the first strategy, seed by seed."""
    by_seed: dict[str, list[float | None]]


def compare(
    outcomes: Mapping[str, Sequence[Outcome]], from_share: float = 0.0, to_share: float = 1.0
) -> list[Standing]:
    """Strategies by name over the same seeds, counted between two shares of the time."""
    counted = {
        name: [each.between(from_share, to_share) for each in found] for name, found in outcomes.items()
    }
    by_seed = {name: _by_seed(found) for name, found in counted.items()}
    first = next(iter(by_seed.values()), {})
    return [
        Standing(
            name=name,
            counts=_counts(counted[name]),
            measures={measure: mean_interval(values) for measure, values in found.items()},
            differences={
                measure: mean_interval(values - first[measure]) for measure, values in found.items()
            },
            by_seed={measure: [_or_none(value) for value in values] for measure, values in found.items()},
        )
        for name, found in by_seed.items()
    ]


class Course(Struct, frozen=True):
    """How a strategy fared over time, by stretch, as means over the seeds."""

    click_rate: list[float | None]
    regret: list[float | None]
    """Clicks lost an impression, against the best slates."""
    lost_clicks: list[float]
    """Clicks lost so far: the regret summed over the impressions."""


def course(outcomes: Sequence[Outcome]) -> Course:
    """Sums over the seeds, so that no stretch without impressions counts as one without clicks."""
    impressions, offered, expected, best = (
        np.sum([getattr(each, name) for each in outcomes], axis=0)
        for name in ("impressions", "offered", "expected", "best")
    )
    clicks = np.sum([each.clicks.sum(axis=1) for each in outcomes], axis=0)
    regret = [_ratio(*pair) for pair in zip(best - expected, offered, strict=True)]
    lost = np.cumsum(np.nan_to_num(regret) * impressions) / len(outcomes)
    return Course(
        click_rate=[_or_none(_ratio(*pair)) for pair in zip(clicks, impressions, strict=True)],
        regret=[_or_none(each) for each in regret],
        lost_clicks=lost.tolist(),
    )


T_975: Final = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622)
"""Student's t at 97.5% for 1 to 9 degrees of freedom; beyond, ``t_975`` expands around the normal."""


def t_975(n: int) -> float:
    """Student's t at 97.5% for n degrees of freedom (Cornish and Fisher's expansion, 1938), to three decimals."""
    if n <= len(T_975):
        return T_975[n - 1]
    z = 1.959964
    return float(
        z
        + (z**3 + z) / (4 * n)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * n**3)
    )


def mean_interval(values: F64) -> Interval | None:
    """Mean of independent runs with its 95% interval by Student's t; nan are left out, None of fewer than two."""
    there = values[np.isfinite(values)]
    if len(there) < 2:
        return None
    mean, error = there.mean(), there.std(ddof=1) / np.sqrt(len(there))
    half = t_975(len(there) - 1) * error
    return Interval(float(mean), float(mean - half), float(mean + half))


def _by_seed(outcomes: Sequence[Outcome]) -> dict[str, F64]:
    found = [measures(each) for each in outcomes]
    return {name: np.array([each[name] for each in found]) for name in (found[0] if found else {})}


def _counts(outcomes: Sequence[Outcome]) -> dict[str, int]:
    names = ("impressions", *OF_ITEMS)
    return {name: int(sum(getattr(each, name).sum() for each in outcomes)) for name in names}


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None

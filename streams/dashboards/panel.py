"""What a dashboard is made of. How it becomes Grafana's JSON is said in ``draw``."""

from enum import Enum
from typing import NamedTuple


class Unit(Enum):
    """Units by Grafana's names."""

    COUNT = "short"
    PER_S = "cps"
    SECONDS = "s"
    BYTES = "bytes"
    SHARE = "percentunit"
    NUMBER = "none"


class Look(Enum):
    """How a panel shows its series."""

    LINES = "lines"
    STACKED = "stacked"
    STAT = "stat"
    STATES = "states"
    """0 pass, 1 warn, 2 fail, over time."""


class Query(NamedTuple):
    """PromQL and the name of its series, with labels as ``{{label}}``."""

    expr: str
    legend: str = ""


class Panel(NamedTuple):
    """One panel; ``alarm`` is where its threshold is drawn."""

    title: str
    meaning: str
    queries: tuple[Query, ...]
    unit: Unit = Unit.COUNT
    look: Look = Look.LINES
    alarm: float | None = None


class Row(NamedTuple):
    """Panels under a title."""

    title: str
    panels: tuple[Panel, ...]


class Dashboard(NamedTuple):
    """``name`` is its file and its place in Grafana's addresses."""

    name: str
    title: str
    meaning: str
    rows: tuple[Row, ...]


def rate(metric: str, by: str = "", where: str = "") -> str:
    """A counter's increase a second, summed; ``by`` names labels, ``where`` selects series."""
    selected = f"{metric}{{{where}}}" if where else metric
    return f"sum{f' by ({by})' if by else ''} (rate({selected}[$__rate_interval]))"


def quantile(q: float, histogram: str, where: str = "", by: str = "") -> str:
    """A quantile of a histogram over all processes."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({q}, {rate(f'{histogram}_bucket', labels, where)})"

"""A curve as small as a word, drawn by hand: no axes, its figures stand beside it."""

from collections.abc import Sequence
from typing import Final

from streams.evaluation_report.markup import Html, join, tag

WIDTH: Final = 120.0
HEIGHT: Final = 28.0
EDGE: Final = 3.0


def spark(values: Sequence[float], says: str, limit: float | None = None) -> Html:
    """At least one value, in time; ``limit`` is a line across, ``says`` tells the same to who cannot see it."""
    low, high = min([*values, *_given(limit)]), max([*values, *_given(limit)])
    points = [(_x(at, len(values)), _y(value, low, high)) for at, value in enumerate(values)]
    parts = []
    if limit is not None:
        y = f"{_y(limit, low, high):.1f}"
        parts.append(tag("line", x1="0", x2=f"{WIDTH:g}", y1=y, y2=y, class_="limit"))
    if len(points) > 1:
        parts.append(tag("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in points), class_="line"))
    x, y_last = points[-1]
    parts.append(tag("circle", cx=f"{x:.1f}", cy=f"{y_last:.1f}", r="2.5", class_="last"))
    box = f"0 0 {WIDTH:g} {HEIGHT:g}"
    return tag("svg", join(*parts), viewBox=box, class_="spark", role="img", aria_label=says)


def _given(limit: float | None) -> list[float]:
    return [] if limit is None else [limit]


def _x(at: int, n: int) -> float:
    return EDGE + (WIDTH - 2 * EDGE) * (at / (n - 1) if n > 1 else 1.0)


def _y(value: float, low: float, high: float) -> float:
    """A curve that never moves is in the middle."""
    place = (value - low) / (high - low) if high > low else 0.5
    return HEIGHT - EDGE - (HEIGHT - 2 * EDGE) * place

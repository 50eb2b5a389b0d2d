"""Drawings by matplotlib as SVG to stand in a page: text stays text, and colours are those of the page.

Equal drawings give equal SVG: no date, and ids that depend on the drawing alone.
"""

import io
import re
import warnings
from collections.abc import Callable
from typing import Any, Final
from xml.etree import ElementTree

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from streams.evaluation_report.markup import Html
from streams.evaluation_report.words import printable

WIDTH: Final = 4.6
"""Inches; a page shows a drawing about a telephone wide, so that its text stays readable there."""

INK, MUTED, GRID, SURFACE = "#000001", "#000002", "#000003", "#000004"
BETTER, OPEN, WORSE = "#000011", "#000012", "#000013"
SERIES: Final = tuple(f"#0000{20 + n}" for n in range(8))
_COLOURS: Final = {
    INK: "ink",
    MUTED: "muted",
    GRID: "grid",
    SURFACE: "surface",
    BETTER: "better",
    OPEN: "open",
    WORSE: "worse",
    **{colour: f"series-{n}" for n, colour in enumerate(SERIES)},
}
"""Colours that stand for a variable of the page, which has one value in light and another in dark."""

_STYLE: Final[dict[Any, Any]] = {
    "axes.axisbelow": True,
    "axes.edgecolor": GRID,
    "axes.facecolor": "none",
    "axes.labelcolor": MUTED,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": "none",
    "font.size": 11.0,
    "grid.color": GRID,
    "legend.frameon": False,
    "savefig.facecolor": "none",
    "svg.fonttype": "none",
    "svg.hashsalt": "rillet",
    "text.color": INK,
    "text.parse_math": False,
    "timezone": "UTC",
    "xtick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.color": GRID,
    "ytick.labelcolor": INK,
}


def drawing(name: str, says: str, height: float, draw: Callable[[Axes], None]) -> Html:
    """``name`` is the drawing's own within the page, ``says`` tells what it shows to who cannot see it."""
    with matplotlib.rc_context(), warnings.catch_warnings():
        # of letters its font lacks, which the page's own fonts have, and of axes that span no time
        warnings.simplefilter("ignore", UserWarning)
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        draw(figure.add_subplot())
        out = io.BytesIO()
        figure.savefig(out, format="svg", metadata={"Date": None})
    return _inline(out.getvalue(), name, says)


def _inline(svg: bytes, name: str, says: str) -> Html:
    root = ElementTree.fromstring(svg)
    for parent in list(root.iter()):
        for child in [each for each in parent if _local(each.tag) in ("metadata", "style")]:
            parent.remove(child)
    for element in root.iter():
        element.tag = _local(element.tag)
        attributes = {_local(key): _of_page(_local(key), value, name) for key, value in element.items()}
        element.attrib.clear()
        element.attrib.update(attributes)
    for size in ("width", "height", "version"):
        root.attrib.pop(size, None)
    root.attrib.update({"role": "img", "aria-label": printable(says)})
    return Html(ElementTree.tostring(root, encoding="unicode"))


def _local(name: str) -> str:
    """Without the namespace: within HTML, SVG needs none."""
    return name.rpartition("}")[2]


def _of_page(key: str, value: str, name: str) -> str:
    if key == "id":
        return f"{name}-{value}"
    if key == "href":
        return value.replace("#", f"#{name}-", 1)
    value = value.replace("url(#", f"url(#{name}-")
    return re.sub(r"#0000\d\d", lambda found: _variable(found[0]), value)


def _variable(colour: str) -> str:
    return f"var(--{_COLOURS[colour]})" if colour in _COLOURS else colour

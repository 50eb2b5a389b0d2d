"""What the sections of a report are put together from."""

from collections.abc import Iterable, Sequence
from typing import Final

from streams.evaluation_report.markup import Html, join, tag

MARKS: Final = {"pass": "✓", "warn": "!", "fail": "✕"}
"""One character a status, so that colour is never all there is."""


def section(title: str, *inside: Html) -> Html:
    """Under a heading, which can be linked to."""
    return tag("section", tag("h2", title, id=anchor(title)), *inside, aria_labelledby=anchor(title))


def anchor(title: str) -> str:
    """The heading's id."""
    return title.lower().replace(" ", "-")


def table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[Html]], texts: int = 1) -> Html:
    """The first ``texts`` columns hold words; cells are ready."""
    head = tag(
        "tr",
        *(
            tag("th", name, scope="col", class_="text" if at < texts else "figure")
            for at, name in enumerate(columns)
        ),
    )
    body = [tag("tr", *row) for row in rows]
    whole = tag("table", tag("caption", caption), tag("thead", head), tag("tbody", *body))
    return tag("div", whole, class_="table", role="region", aria_label=caption, tabindex="0")


def name(text: str) -> Html:
    """The first cell of a row."""
    return tag("th", text, scope="row")


def text(*inside: str) -> Html:
    """A cell of words."""
    return tag("td", *inside, class_="text")


def figure(*inside: str) -> Html:
    """A cell of figures."""
    return tag("td", *inside)


def marked(status: str, value: str, why: str) -> Html:
    """A cell that tells how a check ended."""
    mark = tag("span", MARKS[status], aria_hidden="true")
    return tag(
        "td", mark, " ", value, tag("span", f" {status}", class_="said"), class_=f"cell {status}", title=why
    )


def tiles(pairs: Iterable[tuple[str, str, str]]) -> Html:
    """A name, a large figure, and what more there is to say of it."""
    return tag(
        "div",
        *(
            tag(
                "div",
                tag("p", label, class_="label"),
                tag("p", value, class_="big"),
                tag("p", more),
                class_="tile",
            )
            for label, value, more in pairs
        ),
        class_="tiles",
    )


def pairs(all_of: Iterable[tuple[str, str]]) -> Html:
    """Names with what they mean."""
    return tag("dl", *(join(tag("dt", name), tag("dd", value)) for name, value in all_of))


def hidden(title: str, *inside: Html) -> Html:
    """Shown when it is asked for."""
    return tag("details", tag("summary", title), *inside)


def figures(captioned: Iterable[tuple[str, Html]]) -> Html:
    """Drawings side by side where there is room."""
    return tag(
        "div", *(tag("figure", tag("figcaption", said), drawn) for said, drawn in captioned), class_="plots"
    )


def beside(tables: Iterable[Html]) -> Html:
    """Tables side by side where there is room."""
    return tag("div", *tables, class_="beside")

"""HTML by functions: whatever is not markup already is escaped, so nothing in a log can become part of a page."""

from html import escape

from streams.evaluation_report.words import printable


class Html(str):
    """Markup, to be taken as it is."""

    __slots__ = ()


def tag(name: str, *inside: str, **attributes: str) -> Html:
    """An element; a trailing underscore of an attribute's name is dropped, others become hyphens."""
    of = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(printable(value))}"'
        for key, value in attributes.items()
    )
    return Html(f"<{name}{of}>{join(*inside)}</{name}>")


def join(*parts: str) -> Html:
    """One after the other."""
    return Html("".join(part if isinstance(part, Html) else escape(printable(part)) for part in parts))

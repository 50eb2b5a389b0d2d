"""An inventory as one page of HTML: nothing is fetched, and the only script sorts the table.

The script is named by its hash in the page's policy, so that nothing of a topic could ever run.
"""

from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from importlib.resources import files
from typing import Final

from schemas.inventory import Asset, Column
from streams.evaluation_report.markup import Html, join, tag
from streams.inventory import words
from streams.inventory.look import Inventory
from streams.inventory.picture import picture

SCRIPT: Final = files(__package__).joinpath("page.js").read_text(encoding="utf-8")
_HASH: Final = b64encode(sha256(SCRIPT.encode()).digest()).decode()
POLICY: Final = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{_HASH}'"

MEANINGS: Final = (
    ("feeds", "topics of recommendations that are made from it, at any distance"),
    (
        "quality",
        "weighted mean of the dimensions known, of the newest reports or, where there are none, of a sample",
    ),
    (
        "value",
        "what the sources of data in it add to the NDCG of the ranking, of the newest hour that was told of",
    ),
    ("distinct", "of the whole topic, as estimated from the sample"),
    ("lag", "records that are there and not committed as read, of all consumer groups together"),
    ("newest", "age of the newest record of the sample"),
)

Cell = tuple[str, float | str]
"""What is shown, and what it sorts by."""


def page(inventory: Inventory) -> str:
    """From the doctype to the end."""
    title = f"Inventory of {inventory.servers}"
    style = "".join(
        files(package).joinpath("page.css").read_text(encoding="utf-8")
        for package in ("streams.evaluation_report", __package__)
    )
    head = join(
        Html('<meta charset="utf-8">'),
        Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'),
        tag("title", title),
        tag("style", Html(style)),
    )
    body = join(
        tag("header", tag("h1", title), _pairs(_facts(inventory))),
        tag("main", *sections(inventory)),
        tag("footer", tag("details", tag("summary", "What the figures mean"), _pairs(MEANINGS))),
        tag("script", Html(SCRIPT)),
    )
    return f"<!doctype html>\n{tag('html', tag('head', head), tag('body', body), lang='en')}\n"


def _facts(inventory: Inventory) -> Iterator[tuple[str, str]]:
    yield "seen", _time(inventory.time_ms)
    yield "assets", words.count(inventory.assets)
    yield "unknown", f"{len(inventory.unknown)} not in the catalogue of Rillet"
    yield "records", f"{sum(each.n_records for each in inventory.assets):,}"
    sizes = [each.size_bytes for each in inventory.assets if each.size_bytes is not None]
    if sizes:
        yield "on disk", words.size(sum(sizes))


def sections(inventory: Inventory) -> Iterator[Html]:
    """What the page shows under its headings."""
    if not inventory.assets:
        yield tag("p", "There are no topics.", class_="empty")
        return
    yield _section("Assets", _assets(inventory.assets))
    if drawn := picture(inventory):
        legend = tag(
            "p",
            *(tag("span", word, class_=f"key {kind}") for kind, word in _LEGEND),
            class_="legend",
        )
        scroller = tag(
            "div", drawn, class_="table", role="region", aria_label="Drawing of what feeds what", tabindex="0"
        )
        yield _section("What feeds what", legend, scroller)
    if unknown := inventory.unknown:
        yield _section("Not in the catalogue", *(part for each in unknown for part in _unknown(each)))
    if personal := [
        (each.asset, ", ".join(words.personal(each)))
        for each in inventory.assets
        if any(words.personal(each))
    ]:
        yield _section("Personal data", _pairs(personal))
    yield _section("Columns", *(_columns(each) for each in inventory.assets if each.columns))
    if inventory.notes:
        yield _section("Not seen", tag("ul", *(tag("li", note) for note in inventory.notes)))


_LEGEND: Final = (
    ("topic", "topic of Rillet"), ("table", "table"), ("foreign", "other topic"), ("process", "process"),
)  # fmt: skip
_HEAD: Final = (
    "asset", "holds", "owner", "partitions", "kept", "records", "per s", "on disk", "bytes a day", "newest", "quality",
    "value", "readers", "lag", "feeds", "first seen",
)  # fmt: skip
_TEXTS: Final = frozenset({"asset", "holds", "owner", "readers", "feeds"})


def _assets(assets: Sequence[Asset]) -> Html:
    head = tag(
        "tr",
        *(
            tag(
                "th",
                tag("button", name, type="button"),
                scope="col",
                class_=_class(name),
            )
            for name in _HEAD
        ),
    )
    body = (tag("tr", *_row(each)) for each in assets)
    whole = tag(
        "table",
        tag("caption", "A heading sorts by its column, again the other way"),
        tag("thead", head),
        tag("tbody", *body),
        class_="sortable",
    )
    return tag("div", whole, class_="table", role="region", aria_label="Table of assets", tabindex="0")


def _class(name: str) -> str:
    return "text" if name in _TEXTS else "when text" if name == "first seen" else "figure"


def _row(asset: Asset) -> Iterator[Html]:
    overall = asset.scores.overall if asset.scores else None
    day = asset.cost.bytes_per_day
    cells: tuple[Cell, ...] = (
        (words.holds(asset), words.holds(asset)),
        (words.owner(asset), words.owner(asset)),
        (str(asset.n_partitions), asset.n_partitions),
        (words.kept(asset.retention_ms), _or(asset.retention_ms if asset.retention_ms != -1 else 1e18)),
        (words.number(asset.n_records), asset.n_records),
        (words.number(asset.records_per_s), asset.records_per_s),
        (words.size(asset.size_bytes), _or(asset.size_bytes)),
        (words.size(day), _or(day)),
        (words.age(asset.freshness_s), _or(asset.freshness_s)),
        (words.percent(overall), _or(overall)),
        (words.NOTHING if asset.value is None else f"{asset.value:.4f}", _or(asset.value)),
        (", ".join(each.group for each in asset.readers) or words.NOTHING, len(asset.readers)),
        (words.number(words.lag(asset)) if asset.readers else words.NOTHING, words.lag(asset)),
        (", ".join(name.removeprefix("recommendations.") for name in asset.reaches), len(asset.reaches)),
        (_time(asset.first_seen_ms), asset.first_seen_ms),
    )
    mark = "" if asset.known else " foreign"
    yield tag("th", asset.asset, scope="row", class_=f"asset{mark}", data_by=asset.asset)
    for name, (shown, by) in zip(_HEAD[1:], cells, strict=True):
        yield tag("td", shown, class_=_class(name), data_by=str(by))


def _unknown(asset: Asset) -> Iterator[Html]:
    yield tag("h3", asset.asset)
    told = [("key", asset.key), ("event time", asset.time_column), ("holds", asset.content)]
    yield _pairs((name, value) for name, value in told if value)
    if asset.proposal:
        yield tag("p", words.proposed(asset.proposal))
        if asset.proposal.mapping:
            yield tag("pre", *(join(line, Html("\n")) for line in asset.proposal.mapping.splitlines()))


def _columns(asset: Asset) -> Html:
    names = ("path", "type", "format", "null", "distinct", "personal data")
    head = tag(
        "tr",
        *(tag("th", n, scope="col", class_="figure" if n in ("null", "distinct") else "text") for n in names),
    )
    body = (tag("tr", *_column(each)) for each in asset.columns)
    about = f"{asset.n_sampled:,} records sampled" + (
        f", {asset.n_unreadable:,} of them not like the others" if asset.n_unreadable else ""
    )
    whole = tag("table", tag("caption", about), tag("thead", head), tag("tbody", *body))
    described = [tag("p", asset.description)] if asset.description else []
    return tag("details", tag("summary", asset.asset), *described, tag("div", whole, class_="table"))


def _column(column: Column) -> Iterator[Html]:
    share = "" if column.personal_share is None else f" {words.percent(column.personal_share)}"
    yield tag("th", column.path, scope="row")
    yield tag("td", column.type + (", unique" if column.unique else ""), class_="text")
    yield tag("td", column.format or "", class_="text")
    yield tag("td", words.percent(column.null_share))
    yield tag("td", words.number(column.n_distinct))
    yield tag("td", f"{column.personal or ''}{share}", class_="text")


def _section(title: str, *inside: Html) -> Html:
    name = title.lower().replace(" ", "-")
    return tag("section", tag("h2", title, id=name), *inside, aria_labelledby=name)


def _pairs(pairs: Iterable[tuple[str, str]]) -> Html:
    return tag("dl", *(join(tag("dt", name), tag("dd", value)) for name, value in pairs))


def _or(value: float | None) -> float:
    """What is not known sorts below all else."""
    return -1.0 if value is None else value


def _time(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")

"""Reads the event log of a real shop, a CSV file, plain or gzipped, into typed events, in the order of time.

A preset says which column means what. A log that is in order is streamed; one that is not is sorted in
memory, up to ``MAX_SORTED_ROWS``. Nothing here talks to Kafka."""

import csv
import gzip
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

from models.kinds import Kind
from schemas.events import MAX_LINES, AnyEvent, Browse, Cart, Line, Purchase, Wishlist
from schemas.topics import BROWSE, FEEDBACK, PURCHASE
from streams.errors import InputError

MAX_SORTED_ROWS: Final = 5_000_000
FIRST_MS: Final = 1_577_836_800_000
"""2020-01-01 UTC: where logs without a clock begin, one event a second."""

Row = Sequence[str]
Clock = Callable[[str], int]


class Logged(NamedTuple):
    """One event of the log; an order names all of its items."""

    topic: str
    event: AnyEvent
    item_ids: tuple[str, ...]


class Preset(NamedTuple):
    """Which column of a log means what; a name that is empty means that the log has no such column."""

    columns: tuple[str, ...]
    """Of the header, or given by us when ``header`` is false."""
    user: str
    item: str
    time: str = ""
    clock: Clock = int
    session: str = ""
    order: str = ""
    """Rows with the same value are the lines of one purchase."""
    kind: str = ""
    kinds: Mapping[str, Kind] = {}
    """Rows of other kinds are left out."""
    category: str = ""
    brand: str = ""
    price: str = ""
    price_is_total: bool = False
    """The price is that of the whole line, not of one piece."""
    quantity: str = ""
    separator: str = ","
    header: bool = True
    in_order: bool = True


class LogRow(NamedTuple):
    """One row, its values understood."""

    time_ms: int
    number: int
    kind: Kind
    user: str
    session: str | None
    order: str
    item: str
    category: str | None
    brand: str | None
    price: float | None
    quantity: int


def seconds(text: str) -> int:
    """Seconds since 1970 to milliseconds."""
    return round(float(text) * 1000)


def dated(text: str) -> int:
    """``2019-10-01 00:00:01``, with or without `` UTC``, to milliseconds."""
    return round(datetime.fromisoformat(text.removesuffix(" UTC")).replace(tzinfo=UTC).timestamp() * 1000)


TIMED_SESSIONS: Final = Preset(
    ("SessionId", "ItemId", "Time"),
    user="SessionId",
    item="ItemId",
    time="Time",
    clock=seconds,
    separator="\t",
    in_order=False,
)
PRESETS: Final[Mapping[str, Preset]] = {
    "diginetica": Preset(("SessionId", "ItemId", "Order"), user="SessionId", item="ItemId", separator="\t"),
    "serenade": TIMED_SESSIONS,
    "rsc15-100k": TIMED_SESSIONS,
    "taobao-slice": Preset(
        ("user", "item", "category", "kind", "time"),
        user="user",
        item="item",
        category="category",
        time="time",
        clock=seconds,
        kind="kind",
        kinds={"pv": Kind.VIEW, "cart": Kind.CART, "fav": Kind.WISHLIST, "buy": Kind.PURCHASE},
        header=False,
    ),
    "rees46-sample": Preset(
        (
            "event_time", "event_type", "product_id", "category_id", "category_code", "brand", "price",
            "user_id", "user_session",
        ),
        user="user_id",
        session="user_session",
        item="product_id",
        time="event_time",
        clock=dated,
        kind="event_type",
        kinds={"view": Kind.VIEW, "cart": Kind.CART, "purchase": Kind.PURCHASE},
        category="category_code",
        brand="brand",
        price="price",
    ),
    "online-retail": Preset(
        (
            "InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID",
            "Country",
        ),
        user="CustomerID",
        order="InvoiceNo",
        item="StockCode",
        time="InvoiceDate",
        clock=dated,
        price="UnitPrice",
        quantity="Quantity",
    ),
    "complete-journey": Preset(
        (
            "household_id", "store_id", "basket_id", "product_id", "quantity", "sales_value", "retail_disc",
            "coupon_disc", "coupon_match_disc", "week", "transaction_timestamp",
        ),
        user="household_id",
        order="basket_id",
        item="product_id",
        time="transaction_timestamp",
        clock=dated,
        price="sales_value",
        price_is_total=True,
        quantity="quantity",
        in_order=False,
    ),
}  # fmt: skip
"""Public logs of the literature, by name."""


def guess_preset(path: Path) -> str:
    """The preset whose name is in the path, or whose columns are those of the file.

    Raises:
        InputError: none fits.
    """
    for name in PRESETS:
        if name in str(path):
            return name
    with _opened(path) as lines:
        first = lines.readline().rstrip("\r\n")
    fitting = [
        name for name, p in PRESETS.items() if p.header and set(p.columns) <= set(first.split(p.separator))
    ]
    if not fitting:
        raise InputError(
            f"No preset fits {path}, which begins with {first[:100]!r}.",
            fix=f"Name one with --mapping: {', '.join(PRESETS)}.",
        )
    return fitting[0]


def read_log(path: Path, name: str) -> Iterator[Logged]:
    """The events of a log in the order of time; lines of one order become one purchase.

    Raises:
        InputError: the file or the preset is not there, a column is missing, or a row makes no sense.
    """
    preset = PRESETS.get(name)
    if preset is None:
        raise InputError(f"There is no preset {name!r}.", fix=f"Known are {', '.join(PRESETS)}.")
    rows = _rows(path, preset)
    if not preset.in_order:
        rows = iter(sorted(_limited(rows, path), key=lambda row: (row.time_ms, row.order, row.number)))
    for _, same in groupby(rows, key=lambda row: (row.user, row.order) if row.order else row.number):
        yield _logged(name, list(same))


def _opened(path: Path) -> IO[str]:
    try:
        if path.suffix == ".gz":
            return gzip.open(path, "rt", encoding="utf-8", newline="")
        return path.open(encoding="utf-8", newline="")
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror}.", fix="Check the path given with --log."
        ) from error


def _rows(path: Path, preset: Preset) -> Iterator[LogRow]:
    with _opened(path) as lines:
        reader = csv.reader(lines, delimiter=preset.separator)
        columns = list(next(reader, ())) if preset.header else list(preset.columns)
        missing = [name for name in preset.columns if name not in columns]
        if missing:
            raise InputError(
                f"{path} has no column {missing[0]!r}; it has {', '.join(columns)[:200]}.",
                fix="Choose another preset with --mapping.",
            )
        place = {name: columns.index(name) for name in preset.columns}
        for number, row in enumerate(reader):
            try:
                parsed = _parsed(row, number, preset, place)
            except (ValueError, IndexError) as error:
                line = reader.line_num
                if next(reader, None) is None:
                    return  # cut off in its last line
                raise InputError(
                    f"{path}, line {line}: {error}, in {preset.separator.join(row)[:200]!r}.",
                    fix="Mend or remove the line, or choose another preset with --mapping.",
                ) from error
            if parsed is not None:
                yield parsed


def _parsed(row: Row, number: int, preset: Preset, place: Mapping[str, int]) -> LogRow | None:
    """None for rows that name nobody, are of a kind left out, or take something back."""

    def of(column: str) -> str:
        return row[place[column]].strip() if column else ""

    kind = preset.kinds.get(of(preset.kind)) if preset.kind else Kind.VIEW
    quantity = round(float(of(preset.quantity) or 1)) if preset.quantity else 1
    user = of(preset.user).removesuffix(".0")
    if kind is None or not user or quantity < 1:
        return None
    price = of(preset.price)
    return LogRow(
        time_ms=preset.clock(of(preset.time)) if preset.time else FIRST_MS + 1_000 * number,
        number=number,
        kind=Kind.PURCHASE if preset.order else kind,
        user=user,
        session=of(preset.session) or None,
        order=of(preset.order),
        item=of(preset.item),
        category=of(preset.category) or None,
        brand=of(preset.brand) or None,
        price=float(price) / (quantity if preset.price_is_total else 1) if price else None,
        quantity=quantity,
    )


def _limited(rows: Iterator[LogRow], path: Path) -> Iterator[LogRow]:
    for n, row in enumerate(rows):
        if n >= MAX_SORTED_ROWS:
            raise InputError(
                f"{path} is not in the order of time and has more than {MAX_SORTED_ROWS:,} rows.",
                fix="Sort it by time first, or give a part of it.",
            )
        yield row


def _logged(name: str, rows: list[LogRow]) -> Logged:
    rows = rows[:MAX_LINES]
    row = rows[0]
    common: dict[str, Any] = {
        "event_id": f"{name}-{row.number}",
        "user_id": row.user,
        "time_ms": row.time_ms,
        "session_id": row.session,
    }
    items = tuple(dict.fromkeys(each.item for each in rows))
    if row.kind is Kind.PURCHASE:
        lines = [_line(each) for each in rows]
        return Logged(PURCHASE, Purchase(**common, order_id=row.order or None, lines=lines), items)
    if row.kind is Kind.CART:
        return Logged(FEEDBACK, Cart(**common, item_id=row.item, price=row.price), items)
    if row.kind is Kind.WISHLIST:
        return Logged(FEEDBACK, Wishlist(**common, item_id=row.item), items)
    attributes: dict[str, Any] = {"category": row.category, "brand": row.brand, "price": row.price}
    return Logged(BROWSE, Browse(**common, item_id=row.item, **attributes), items)


def _line(row: LogRow) -> Line:
    return Line(
        item_id=row.item, quantity=row.quantity, price=row.price, category=row.category, brand=row.brand
    )

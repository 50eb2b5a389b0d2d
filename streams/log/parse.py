"""A row of text to a row of the log, its values understood, as its mapping says."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta, Struct
from xxhash import xxh3_64_hexdigest

from models.ingest.plausibility import EARLIEST_MS, LATEST_MS
from models.kinds import Kind
from schemas.events import DwellMs, Id, Label, Money
from streams.log.clock import FIRST_MS, clock
from streams.log.mapping import IdPart, LogMapping

Values = Sequence[str]
ROW_ERRORS: Final = (ValueError, IndexError, OverflowError)
"""What a value that makes no sense raises."""
MAX_UNMAPPED: Final = 50
MAX_QUOTED: Final = 80
MAX_UNMAPPED_CHARACTERS: Final = 100
_PLACE: Final = re.compile(r"`\$\[(\d+)\]`")


class LogRow(Struct, frozen=True, array_like=True):
    """One row, its values understood, within the bounds of the events that are made of it."""

    time_ms: Annotated[int, Meta(ge=EARLIEST_MS, le=LATEST_MS)]
    order: str
    number: int
    """Of the row in the file, from 0; what is unreadable counts."""
    kind: Kind
    event_id: Id
    user: Id
    item: Annotated[str, Meta(max_length=256)]
    session: Id | None
    platform: Label | None
    store_id: Id | None
    category: Label | None
    brand: Label | None
    price: Money | None
    quantity: Annotated[int, Meta(ge=1, le=100_000)]
    query: Annotated[str, Meta(max_length=1024)]
    rating: Annotated[float, Meta(ge=0.0, le=1.0)] | None
    dwell_ms: DwellMs | None
    place: int = 0
    """Of the row in its record, from 0."""
    currency: Annotated[str, Meta(min_length=3, max_length=3)] | None = None
    slate_id: Id | None = None
    promotion_id: Id | None = None


class Origin(NamedTuple):
    """What a record of a topic is known by, where its value does not say."""

    event_id: str
    time_ms: int


def why_not(error: Exception) -> str:
    """What is wrong with a row, fields by their names."""
    return _PLACE.sub(lambda found: LogRow.__struct_fields__[int(found[1])], str(error))


class Parser:
    """Reads the rows of one table."""

    def __init__(self, mapping: LogMapping, places: Mapping[str, int], name: str, file: str) -> None:
        columns = mapping.columns
        self.unmapped: Counter[str] = Counter()
        """Rows by kinds that the mapping does not name."""
        self._columns = columns
        self._constants = mapping.constants
        self._clock = clock(mapping.time.format)
        self._time_format = mapping.time.format
        self._kinds = {value: Kind[kind.upper()] for value, kind in mapping.kind.values.items()}
        self._kind = Kind[mapping.kind.constant.upper()]
        self._event_id = _identifier(mapping, places, name, file)
        self._names_events = mapping.id != IdPart()
        whole = mapping.file.whole_numbers
        self._whole = tuple(places[each] for each in whole if each in places)

        def place(column: str | None) -> int:
            return places[column] if column else -1

        self._time, self._kind_at = place(mapping.time.column), place(mapping.kind.column)
        self._user, self._item = place(columns.user), place(columns.item)
        self._session, self._order, self._query = (
            place(columns.session), place(columns.order), place(columns.query),
        )  # fmt: skip
        self._category, self._brand = place(columns.category), place(columns.brand)
        self._price, self._quantity = place(columns.price), place(columns.quantity)
        self._rating, self._dwell = place(columns.rating), place(columns.dwell_ms)
        self._platform, self._store = place(columns.platform), place(columns.store_id)
        self._currency, self._slate, self._promotion = (
            place(columns.currency), place(columns.slate_id), place(columns.promotion_id),
        )  # fmt: skip

    def parse(
        self, values: Values, number: int, place: int = 0, origin: Origin | None = None
    ) -> LogRow | None:
        """None for rows that name nobody or no item, are of a kind left out, or take something back.

        Rows of one record have its ``number`` and each a ``place``. ``origin`` stands in for an id and a time.

        Raises:
            ValueError, IndexError, OverflowError: a value makes no sense, see ``ROW_ERRORS``.
        """
        if self._whole:
            values = self._without_fractions(values)
        kind = self._kind_of(values[self._kind_at].strip()) if self._kind_at >= 0 else self._kind
        user = values[self._user].strip()
        item = self._text(values, self._item) or ""
        query = self._text(values, self._query) or ""
        if kind is None or not user or not (query if kind is Kind.SEARCH else item):
            return None
        pieces = self._text(values, self._quantity)
        quantity = round(as_number(pieces, "quantity")) if pieces else 1
        if quantity < 1:
            return None
        order = self._text(values, self._order) if kind is Kind.PURCHASE else None
        return msgspec.convert(
            (
                self.time_ms(values, number, origin),
                order or "",
                number,
                kind.value,
                self._placed_id(values, number, place, origin),
                user,
                item,
                self._text(values, self._session),
                self._text(values, self._platform) or self._constants.platform,
                self._text(values, self._store) or self._constants.store_id,
                self._text(values, self._category),
                self._text(values, self._brand),
                self._priced(values, quantity),
                quantity,
                query,
                self._rated(values) if kind is Kind.RATING else None,
                self._dwelt(values) if kind is Kind.DWELL else None,
                place,
                self._in_currency(values) if kind is Kind.PURCHASE else None,
                self._text(values, self._slate),
                self._text(values, self._promotion),
            ),
            LogRow,
        )

    def time_ms(self, values: Values, number: int, origin: Origin | None) -> int:
        """When it happened, milliseconds since 1970. Raises as ``parse`` does."""
        if origin is not None and not (self._time >= 0 and values[self._time].strip()):
            return origin.time_ms
        if self._time < 0:
            return FIRST_MS + 1_000 * number
        try:
            return self._clock(values[self._time].strip())
        except ROW_ERRORS as error:
            said = values[self._time][:MAX_QUOTED]
            raise ValueError(f"time is {said!r}, expected the format {self._time_format}") from error

    def _placed_id(self, values: Values, number: int, place: int, origin: Origin | None) -> str:
        event_id = self._event_id(values, number) if origin is None or self._names_events else ""
        event_id = event_id or (origin.event_id if origin else "")
        return f"{event_id}#{place}" if place and event_id else event_id

    def _kind_of(self, value: str) -> Kind | None:
        kind, value = self._kinds.get(value), value[:MAX_UNMAPPED_CHARACTERS]
        if kind is None and (value in self.unmapped or len(self.unmapped) < MAX_UNMAPPED):
            self.unmapped[value] += 1
        return kind

    def _text(self, values: Values, place: int) -> str | None:
        return values[place].strip() or None if place >= 0 else None

    def _priced(self, values: Values, quantity: int) -> float | None:
        price = self._text(values, self._price)
        if price is None:
            return None
        return as_number(price, "price") / (quantity if self._columns.price_is_total else 1)

    def _in_currency(self, values: Values) -> str | None:
        return self._text(values, self._currency) or self._constants.currency

    def _rated(self, values: Values) -> float:
        worst = self._columns.rating_worst
        return (as_number(values[self._rating], "rating") - worst) / (self._columns.rating_best - worst)

    def _dwelt(self, values: Values) -> int:
        return round(as_number(values[self._dwell], "dwell_ms"))

    def _without_fractions(self, values: Values) -> Values:
        changed = list(values)
        for place in self._whole:
            changed[place] = changed[place].strip().removesuffix(".0")
        return changed


def as_number(text: str, what: str) -> float:
    """The number in a text. Raises ``ValueError`` with ``what`` it is of."""
    try:
        return float(text)
    except ValueError as error:
        raise ValueError(f"{what} is {text[:MAX_QUOTED]!r}, expected a number") from error


def _identifier(
    mapping: LogMapping, places: Mapping[str, int], name: str, file: str
) -> Callable[[Values, int], str]:
    """Makes event ids, the same at every run."""
    if mapping.id.column:
        place = places[mapping.id.column]
        return lambda values, _: values[place]
    if mapping.id.hash_of:
        hashed = [places[each] for each in mapping.id.hash_of]
        return lambda values, _: xxh3_64_hexdigest("\0".join([values[at] for at in hashed]).encode())
    template = mapping.id.template.replace("{mapping}", name).replace("{file}", file)
    named = [(each, places[each]) for each in mapping.id.template_names() if each in places]
    if not named:
        return lambda _, number: template.replace("{row}", str(number))
    return lambda values, number: template.format(row=number, **{each: values[at] for each, at in named})

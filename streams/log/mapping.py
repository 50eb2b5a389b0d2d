"""What a log file means: which column is the user, the item, the time, and how their values are written.

A mapping is a TOML file with the sections of ``LogMapping``; unknown keys are refused with the nearest name.
``docs/mapping.md`` is generated from here. Nothing here opens a log."""

import difflib
import tomllib
from collections.abc import Iterator
from pathlib import Path
from string import Formatter
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from streams.errors import InputError
from streams.log.objects import JSON_FORMATS
from streams.log.paths import compiled

Column = Annotated[str, StringConstraints(min_length=1)]
KindName = Literal[
    "view", "click", "cart", "wishlist", "purchase", "dismiss", "rating", "dwell", "impression", "search"
]
TIME_FORMATS: Final = ("s", "ms", "us", "iso", "number")
TEMPLATE_NAMES: Final = frozenset({"mapping", "file", "row"})
"""What an id template may name beside columns."""
DEFAULT_TEMPLATE: Final = "{mapping}-{file}-{row}"


class Part(BaseModel):
    """Frozen; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class FilePart(Part):
    """How the file is written."""

    format: Literal["csv", "tsv", "jsonl", "parquet", "snowplow"] | None = Field(
        None,
        description="What the file is; by default told by its name (`.csv`, `.tsv`, `.jsonl`, `.parquet`). `snowplow`: "
        "its enriched events, as lines of tab-separated fields or as JSON lines. Of a topic it is `jsonl` by default.",
    )
    separator: Annotated[str, Field(min_length=1, max_length=1)] | None = Field(
        None, description="Between two values of a CSV row; a comma, in TSV a tab, by default."
    )
    quote: Annotated[str, Field(max_length=1)] = Field(
        '"', description="What encloses values that hold a separator; empty for none."
    )
    header: bool = Field(True, description="Whether the first row of a CSV names the columns.")
    columns: tuple[Column, ...] = Field(
        (), description="Names of all columns, in order, where there is no header."
    )
    encoding: str = Field(
        "utf-8",
        description="How text is encoded. A line that is not is read as Windows-1252, counted and reported.",
    )
    empty: tuple[str, ...] = Field(
        (), description="Texts that stand for no value in JSON, such as `(not set)`."
    )
    whole_numbers: tuple[Column, ...] = Field(
        (), description="Columns of ids that were exported as fractions: `17850.0` is read as `17850`."
    )
    in_order: bool = Field(
        True,
        description="Whether rows come in the order of time; when not, they are sorted, on disk where they "
        "are many.",
    )
    max_unreadable: float = Field(
        0.01, ge=0.0, le=1.0, description="Share of unreadable rows above which reading ends with an error."
    )

    @model_validator(mode="after")
    def _names_where_no_header(self) -> Self:
        if not self.header and not self.columns:
            raise ValueError("header = false needs columns, the names of all columns in order")
        return self


class ColumnsPart(Part):
    """Which column is what; in JSON a path, see [Nested records](#nested-records)."""

    user: Column = Field(description="Who; rows that name nobody are left out.")
    item: Column | None = Field(
        None, description="Which item; rows without one are left out, searches apart."
    )
    session: Column | None = Field(None, description="Session of the shop.")
    order: Column | None = Field(
        None,
        description="Order number: rows of one user with the same value, one after the other, are one purchase.",
    )
    query: Column | None = Field(None, description="What was searched for, in rows of kind `search`.")
    category: Column | None = Field(None, description="Category of the item.")
    brand: Column | None = Field(None, description="Brand of the item.")
    price: Column | None = Field(None, description="Price of one piece, or of the row: see `price_is_total`.")
    price_is_total: bool = Field(False, description="The price is that of all pieces of the row together.")
    quantity: Column | None = Field(
        None, description="Number of pieces; rows with less than one, such as returns, are left out."
    )
    rating: Column | None = Field(None, description="Rating, in rows of kind `rating`.")
    rating_worst: float = Field(1.0, description="The rating that becomes 0.")
    rating_best: float = Field(5.0, description="The rating that becomes 1.")
    dwell_ms: Column | None = Field(None, description="Time spent on the item, milliseconds.")
    platform: Column | None = Field(None, description="Device or channel.")
    store_id: Column | None = Field(None, description="Store.")
    currency: Column | None = Field(None, description="Three letters, of purchases.")
    slate_id: Column | None = Field(
        None, description="Rillet's slate that the item was shown in, of looks, clicks and impressions."
    )
    promotion_id: Column | None = Field(None, description="Promotion, of bought items.")

    @model_validator(mode="after")
    def _rating_has_a_scale(self) -> Self:
        if self.rating_best <= self.rating_worst:
            raise ValueError("rating_best must be above rating_worst")
        return self


class TimePart(Part):
    """When. Without a column, rows are a second apart, the first on 2020-01-01."""

    column: Column | None = Field(None, description="Column of the event time.")
    format: str = Field(
        "iso",
        description="`s`, `ms` or `us` since 1970, `iso`, a pattern of strptime such as `%d/%m/%Y %H:%M`, or "
        "`number`: a running number, taken for seconds since 2020-01-01. Times that name no zone are UTC.",
    )

    @model_validator(mode="after")
    def _format_is_known(self) -> Self:
        if self.format not in TIME_FORMATS and "%" not in self.format:
            raise ValueError(f"format = {self.format!r} is none of {', '.join(TIME_FORMATS)}, and no pattern")
        return self


class KindPart(Part):
    """What the shopper did."""

    constant: KindName = Field("view", description="Kind of all rows, where no column tells it.")
    column: Column | None = Field(None, description="Column that tells the kind.")
    values: dict[str, KindName] = Field(
        {}, description="What its values mean; rows with other values are left out."
    )

    @model_validator(mode="after")
    def _values_of_a_column(self) -> Self:
        if bool(self.column) != bool(self.values):
            raise ValueError("column and values go together: set both, or neither")
        return self


class IdPart(Part):
    """The event id: it must come out the same at every run, so that what is sent twice is known as such."""

    column: Column | None = Field(None, description="Column that holds it.")
    template: str = Field(
        DEFAULT_TEMPLATE,
        description="Made of columns in braces, and `{mapping}`, `{file}` (name without endings), `{row}`.",
    )
    hash_of: tuple[Column, ...] = Field(
        (), description="Columns whose values are hashed to the id; rows alike in all of them are one event."
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = [bool(self.column), bool(self.hash_of), self.template != DEFAULT_TEMPLATE]
        if sum(ways) > 1:
            raise ValueError("column, template and hash_of exclude each other")
        try:
            names = list(self.template_names())
        except ValueError as error:
            raise ValueError(f"template = {self.template!r}: {error}") from error
        if not names:
            raise ValueError(f"template = {self.template!r} gives every event the same id")
        return self

    def template_names(self) -> Iterator[str]:
        """What stands in braces."""
        return (name for _, name, _, _ in Formatter().parse(self.template) if name)


class ConstantsPart(Part):
    """The same for every row."""

    platform: str | None = Field(None, description="Device or channel.")
    store_id: str | None = Field(None, description="Store.")
    currency: Annotated[str, Field(min_length=3, max_length=3)] | None = Field(
        None, description="Three letters, of purchases."
    )


class CatalogPart(Part):
    """What becomes entries of `catalog.items`, by `rillet connect`; nothing without `item`."""

    item: Column | None = Field(None, description="Which item.")
    title: Column | None = Field(None, description="What it is called.")
    category: Column | None = Field(None, description="Its category.")
    brand: Column | None = Field(None, description="Its brand.")
    price: Column | None = Field(None, description="Its price.")
    store_id: Column | None = Field(None, description="Store.")
    origin: Column | None = Field(None, description="Where it comes from.")
    available: Column | None = Field(None, description="Whether it can be bought.")
    available_values: tuple[str, ...] = Field(
        ("true",), description="Values of `available` that mean it can; nothing there means so too."
    )
    created: Column | None = Field(None, description="Since when there is the item, as times are written.")
    kinds: tuple[str, ...] = Field(
        (), description="Values of `kind.column` whose records tell of items; by default all do."
    )
    removed: tuple[str, ...] = Field(
        (), description="Values of `kind.column` whose records take the item out of the catalogue."
    )

    def columns(self) -> list[str]:
        """Every column that is read."""
        names = ("item", "title", "category", "brand", "price", "store_id", "origin", "available", "created")
        return [column for name in names if (column := getattr(self, name))]


class LogMapping(Part):
    """What a log file means."""

    about: str = Field("", description="What log this is, for `rillet mapping list`.")
    file: FilePart = FilePart()
    columns: ColumnsPart
    time: TimePart = TimePart()
    kind: KindPart = KindPart()
    id: IdPart = IdPart()
    constants: ConstantsPart = ConstantsPart()
    catalog: CatalogPart = CatalogPart()

    @model_validator(mode="after")
    def _paths_lead_somewhere(self) -> Self:
        if self.file.format in JSON_FORMATS:
            for column in self.needed():
                compiled(column)
        return self

    @model_validator(mode="after")
    def _catalog_is_whole(self) -> Self:
        catalog = self.catalog
        if catalog.item is None and catalog != CatalogPart():
            raise ValueError("catalog.item is missing: without it nothing becomes an entry")
        if (catalog.kinds or catalog.removed) and not self.kind.column:
            raise ValueError("catalog.kinds and catalog.removed are values of kind.column: set that")
        return self

    @model_validator(mode="after")
    def _items_where_needed(self) -> Self:
        kinds = {self.kind.constant} if not self.kind.column else set(self.kind.values.values())
        if self.columns.order and kinds != {"purchase"} and not self.kind.column:
            raise ValueError('columns.order makes purchases: set kind.constant = "purchase"')
        if self.columns.item is None and kinds != {"search"}:
            raise ValueError("columns.item is missing: only searches go without")
        for kind, column in (("search", "query"), ("rating", "rating"), ("dwell", "dwell_ms")):
            if kind in kinds and getattr(self.columns, column) is None:
                raise ValueError(f"columns.{column} is missing: rows of kind {kind} need it")
        return self

    def roles(self) -> dict[str, str]:
        """What each column of ``needed`` is, the first where it is several things: ``item``, ``catalog.title``."""
        parts = {f"catalog.{name}": getattr(self.catalog, name) for name in CatalogPart.model_fields}
        parts |= {"event_id": self.id.column, "kind": self.kind.column, "time": self.time.column}
        parts |= {name: getattr(self.columns, name) for name in ColumnsPart.model_fields}
        by_column = {column: role for role, column in parts.items() if isinstance(column, str)}
        return {column: by_column.get(column, column) for column in self.needed()}

    def needed(self) -> list[str]:
        """Every column that is read, each once."""
        named = [
            getattr(self.columns, name)
            for name in type(self.columns).model_fields
            if name not in {"price_is_total", "rating_worst", "rating_best"}
        ]
        named += [self.time.column, self.kind.column, self.id.column, *self.id.hash_of]
        named += [name for name in self.id.template_names() if name not in TEMPLATE_NAMES]
        named += self.catalog.columns()
        return list(dict.fromkeys(name for name in named if name))

    def rare(self) -> list[str]:
        """Those of ``needed`` that may be missing in many rows of a file without a header."""
        common = (self.columns.user, self.columns.item, self.time.column, self.kind.column)
        return [name for name in self.needed() if name not in common]


def parse_mapping(text: str, origin: str) -> LogMapping:
    """The mapping in a TOML text.

    Raises:
        InputError: names each unknown or refused key, and the nearest one that there is.
    """
    try:
        return LogMapping.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{origin} is no TOML: {error}.", fix="Mend that line.") from error
    except ValidationError as error:
        problems = "; ".join(_describe(each) for each in error.errors())
        raise InputError(
            f"{origin}: {problems}.", fix="See docs/mapping.md; `rillet mapping show serenade` is an example."
        ) from error


def read_mapping(path: Path) -> LogMapping:
    """The mapping in a TOML file.

    Raises:
        InputError: it cannot be read, or is refused.
    """
    try:
        return parse_mapping(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}.", fix="Check the path and the file.") from error


def parts() -> Iterator[tuple[str, type[Part]]]:
    """The sections of a mapping."""
    for name, info in LogMapping.model_fields.items():
        part = info.annotation
        if isinstance(part, type) and issubclass(part, Part):
            yield name, part


def keys() -> list[str]:
    """Dotted names of all keys within sections."""
    return [f"{name}.{key}" for name, part in parts() for key in part.model_fields]


def _describe(error: Any) -> str:
    name = ".".join(str(each) for each in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"there is no key {name}{_nearest(name)}"
    if error["type"] == "missing":
        return f"{name} is missing"
    message = error["msg"].removeprefix("Value error, ")
    return f"{name}: {message}" if name else message


def _nearest(name: str) -> str:
    known = keys() if "." in name else [*LogMapping.model_fields, *keys()]
    by_last = {key.rpartition(".")[2]: key for key in reversed(known)}
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    near = near or [by_last[key] for key in difflib.get_close_matches(name.rpartition(".")[2], by_last, n=1)]
    return f"; did you mean {near[0]}?" if near else ""

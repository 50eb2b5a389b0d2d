"""Rows of a record to entries of the catalogue, as the ``catalog`` part of a mapping says."""

from collections.abc import Mapping, Sequence

import msgspec

from models.ingest.record import Change
from schemas.catalog import Item
from streams.log.clock import clock
from streams.log.mapping import LogMapping
from streams.log.parse import as_number


class Entries:
    """Reads entries from rows whose columns stand at ``places``."""

    def __init__(self, mapping: LogMapping, places: Mapping[str, int]) -> None:
        catalog = mapping.catalog
        self._clock = clock(mapping.time.format)
        self._kind = places[mapping.kind.column] if mapping.kind.column else -1
        self._kinds, self._removed = frozenset(catalog.kinds), frozenset(catalog.removed)
        self._available_values = frozenset(catalog.available_values)
        self._places = {
            name: places[column]
            for name in type(catalog).model_fields
            if name not in {"available_values", "kinds", "removed"}
            and (column := getattr(catalog, name)) is not None
        }

    def parse(self, values: Sequence[str], offset: int, time_ms: int) -> Change | None:
        """The entry, or its removal; None where the row tells of no item.

        Raises:
            ValueError: a value makes no sense.
        """
        if "item" not in self._places:
            return None
        kind = values[self._kind] if self._kind >= 0 else ""
        item_id = self._text(values, "item")
        if item_id is None or not (kind in self._kinds or kind in self._removed or not self._kinds):
            return None
        return Change(
            offset, item_id, None if kind in self._removed else self._entry(values, item_id, time_ms)
        )

    def _entry(self, values: Sequence[str], item_id: str, time_ms: int) -> Item:
        available, created = self._text(values, "available"), self._text(values, "created")
        price = self._text(values, "price")
        return msgspec.convert(
            {
                "item_id": item_id,
                "time_ms": time_ms,
                **{
                    name: self._text(values, name)
                    for name in ("title", "category", "brand", "store_id", "origin")
                },
                "price": as_number(price, "catalog.price") if price else None,
                "available": available is None or available in self._available_values,
                "created_ms": self._clock(created) if created else None,
            },
            Item,
        )

    def _text(self, values: Sequence[str], name: str) -> str | None:
        place = self._places.get(name)
        return (values[place].strip() or None) if place is not None else None

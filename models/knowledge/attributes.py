"""Attributes of items by dense index, from the catalogue or, where it is silent, from the events themselves."""

from typing import NamedTuple

from models.retrieve.contract import F32, F64, I32, U8


class Attributes(NamedTuple):
    """Columns of length ``capacity``, indexed by item; live views, written by the knowledge base only."""

    category: I32
    """Category index, -1 unknown."""
    brand: I32
    log_price: F32
    """log(1 + price), NaN unknown."""
    available: U8
    """0 when the catalogue says that the item cannot be bought now, else 1."""
    created_s: F64
    """When the item was first known, seconds since 1970."""
    discount: F32
    """Share of the price that promotions take off at this moment, 0 without one."""

"""What changes between two looks: first and last seen, assets that went away, and those that are forgotten."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from msgspec.structs import replace

from schemas.inventory import Asset

FORGET_AFTER_S: Final = 7 * 86_400.0


def continued(now: Iterable[Asset], before: Mapping[str, Asset]) -> list[Asset]:
    """What is there now, with the first time that each was seen."""
    return [
        replace(each, first_seen_ms=min(before[each.asset].first_seen_ms, each.first_seen_ms))
        if each.asset in before
        else each
        for each in now
    ]


def gone(
    now: Iterable[Asset], before: Mapping[str, Asset], looked_at: Callable[[str], bool] = lambda _: True
) -> list[Asset]:
    """What was there before and is no more, of the names that were looked at; its last figures stay."""
    there = {each.asset for each in now}
    return [
        replace(each, present=False)
        for name, each in sorted(before.items())
        if name not in there and looked_at(name)
    ]


def forgotten(missing: Iterable[Asset], now_ms: int, forget_after_s: float = FORGET_AFTER_S) -> set[str]:
    """Of what is gone, the names of which a null value is due."""
    return {each.asset for each in missing if now_ms - each.last_seen_ms > forget_after_s * 1000}

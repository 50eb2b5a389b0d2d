"""Why an item is not in the slate, by the first stage that left it out."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from models.explain.case import Case
from models.explain.origin import did, own_event
from models.interest.seen import BOUGHT, DISMISSED, VIEWED
from models.rank.filters import refused
from models.retrieve.contract import F64
from schemas.explain import ABSENT, Absence, OwnEvent

_REFUSED: Final = {"viewed": VIEWED, "bought": BOUGHT, "dismissed": DISMISSED}


def absences(case: Case, item: int, item_id: str) -> list[Absence]:
    """Every reason that holds by itself; empty for an item in the slate. ``item`` is -1 for one that is not known."""
    if item < 0:
        return [_absence("unknown")]
    row = case.row_of.get(item)
    if row is not None:
        return [] if row in case.slate else [_outrun(case, row)]
    left_out = list(_left_out(case, item, item_id))
    return left_out or [_absence("no_source")]


def _left_out(case: Case, item: int, item_id: str) -> Iterator[Absence]:
    """Why no source need have named it."""
    for reason, code in _REFUSED.items():
        only = case.seen._replace(items=np.where(case.seen.reasons == code, case.seen.items, np.int32(-1)))
        if item in refused(only, case.knowledge.rebuying.rebuyable, case.settings.rank)[0]:
            yield _absence(reason, event=_seen(case, reason, item_id))
    if not case.knowledge.attributes.available[item]:
        yield _absence("unavailable")


def _seen(case: Case, reason: str, item_id: str) -> OwnEvent | None:
    state = case.state
    if reason == "viewed":
        return did(case, item_id)
    times, kind = (state.bought, "purchase") if reason == "bought" else (state.dismissed, "dismiss")
    return own_event(case, kind, item_id, times[item_id]) if item_id in times else None


def _outrun(case: Case, row: int) -> Absence:
    """Why a candidate has no place."""
    if not case.considered.scores[row] > 0.0:
        return _absence("worthless")
    items = case.considered.merged.items
    if row in case.greedy:
        return _absence("exploration", item_id=case.word(int(items[case.slate[case.greedy.index(row)]])))
    if case.rank_of[row] > len(case.greedy):
        return _absence("beyond")
    shown = items[case.greedy]
    return _absence("diversity", item_id=case.word(int(shown[np.argmax(_likeness(case, int(items[row])))])))


def _likeness(case: Case, item: int) -> F64:
    """(S,) how like the item those of the greedy slate are, as ``diversify`` takes it."""
    known, rank = case.knowledge.attributes, case.settings.rank
    others = case.considered.merged.items[case.greedy]
    same = [(of == of[item])[others] & (of[item] >= 0) for of in (known.category, known.brand)]
    gap = np.abs(known.log_price[others].astype(np.float64) - known.log_price[item]) / rank.price_width
    close = np.where(gap < 1.0, rank.close_price * (1.0 - gap), 0.0)
    alike: F64 = rank.same_category * same[0] + rank.same_brand * same[1] + close
    return alike


def _absence(reason: str, *, event: OwnEvent | None = None, item_id: str | None = None) -> Absence:
    return Absence(reason=reason, detail=ABSENT[reason], event=event, item_id=item_id)

"""A case told in the words of the contract: what each item of a slate, or an absent one, owes its place to."""

import numpy as np

from models.explain.absence import absences
from models.explain.case import Case
from models.explain.origin import says
from models.interest.seen import DISMISSED
from models.rank.features import NEAR_DISMISSED, nearness
from schemas.explain import Contribution, Demotion, ExplainedItem, Explanation


def explain(
    case: Case, user_id: str, slate_id: str, model_version: str, item_id: str | None, *, every: bool = False
) -> Explanation:
    """Explain the slate, the item that is asked for, and with ``every`` all other candidates, best first."""
    items = case.considered.merged.items
    slate = [_explained(case, int(items[row])) for row in case.slate]
    inside = {each.item_id: each for each in slate}
    outside = [row for row in case.by_score.tolist() if row not in case.slate] if every else []
    return Explanation(
        user_id=user_id,
        slate_id=slate_id,
        time_ms=case.state.latest_ms,
        now_ms=case.now_ms,
        model_version=model_version,
        n_candidates=len(items),
        n_places=case.considered.rows.shape[1],
        mean_raw_score=float(case.mean.sum()),
        cold_start=not case.state.recents.items,
        items=slate,
        asked=None if item_id is None else inside.get(item_id) or _asked(case, item_id),
        others=[_explained(case, int(items[row])) for row in outside],
    )


def _asked(case: Case, item_id: str) -> ExplainedItem:
    item = case.knowledge.vocabularies.items.index(item_id)
    if item < 0:
        return ExplainedItem(item_id=item_id, absent=absences(case, item, item_id))
    return _explained(case, item)


def _explained(case: Case, item: int) -> ExplainedItem:
    item_id = case.word(item) or ""
    row = case.row_of.get(item)
    if row is None:
        return ExplainedItem(item_id=item_id, sources=says(case, item), absent=absences(case, item, item_id))
    place = case.slate.index(row) if row in case.slate else None
    return ExplainedItem(
        item_id=item_id,
        place=None if place is None else place + 1,
        greedy_place=case.greedy.index(row) + 1 if row in case.greedy else None,
        rank=case.rank_of[row],
        score=float(case.considered.scores[row]),
        full_score=float(case.full_scores[row]),
        raw_score=float(case.contributions[row].sum()),
        propensity=None if place is None else float(case.ranked.propensity[0, place]),
        explored=place is not None and bool(case.ranked.explored[0, place]),
        groups=dict(zip(case.groups, case.sums[row].tolist(), strict=True)),
        contributions=_contributions(case, row),
        sources=says(case, item),
        demotion=_demotion(case, row, item),
        absent=absences(case, item, item_id),
    )


def _contributions(case: Case, row: int) -> list[Contribution]:
    """Of the features that are not 0, here or on average, the strongest first, ties in the order of the features."""
    values, added = case.considered.values[row], case.contributions[row]
    above = added - case.mean
    strongest = np.argsort(-np.abs(added), kind="stable")
    shown = strongest[((values != 0.0) | (above != 0.0))[strongest]]
    columns = (values[shown], case.weights[shown], added[shown], above[shown])
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return [
        Contribution(feature=case.names[f], value=value, weight=weight, contribution=adds, above_mean=over)
        for f, (value, weight, adds, over) in zip(shown.tolist(), rows, strict=True)
    ]


def _demotion(case: Case, row: int, item: int) -> Demotion | None:
    near = float(case.considered.values[row, NEAR_DISMISSED])
    if near == 0.0:
        return None
    known = case.knowledge.attributes
    dismissed = case.seen.items[0][(case.seen.reasons[0] == DISMISSED) & (case.seen.items[0] >= 0)]
    each = [
        nearness(item, dismissed[i : i + 1], known.category, known.brand, known.log_price)
        for i in range(len(dismissed))
    ]
    nearest = int(dismissed[int(np.argmax(each))])
    return Demotion(
        factor=1.0 - case.settings.rank.dismissal * near, item_id=case.word(nearest), nearness=near
    )

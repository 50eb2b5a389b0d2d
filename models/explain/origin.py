"""What each source says of an item, and which of the user's own doings made it say so."""

from collections.abc import Callable, Iterator
from typing import Final

from models.explain.case import Case
from models.interest.state import last_query
from models.retrieve.contract import F32, I32, Candidates, TextSource
from schemas.explain import OwnEvent, Says, Taste


def says(case: Case, item: int) -> list[Says]:
    """What the sources that name the item say, strongest contribution first."""
    row = case.row_of.get(item)
    told = [
        _says(case, s, name, found, place, row)
        for s, (name, found) in enumerate(case.found)
        if (place := case.places[s].get(item)) is not None
    ]
    return sorted(told, key=lambda each: -(each.contribution or 0.0))


def did(case: Case, item_id: str) -> OwnEvent | None:
    """What the user last did with an item, as far as the state remembers."""
    last = case.latest.get(item_id)
    return (
        None
        if last is None
        else own_event(case, last.kind.name.lower(), item_id, last.time_ms, last.dwell_ms or None)
    )


def own_event(case: Case, kind: str, what: str, time_ms: int, dwell_ms: int | None = None) -> OwnEvent:
    """An event with its age."""
    age_s = max(case.now_ms - time_ms, 0) / 1000.0
    return OwnEvent(kind=kind, what=what, time_ms=time_ms, age_s=age_s, dwell_ms=dwell_ms)


def _says(case: Case, s: int, name: str, found: Candidates, place: int, row: int | None) -> Says:
    item, score = int(found.items[0, place]), float(found.scores[0, place])
    contribution, above_mean = (None, None) if row is None else _added(case, s, row)
    because = item if name == "recent" else int(found.because[0, place])
    own = case.word(because) if because >= 0 else None
    return Says(
        source=name,
        place=place + 1,
        score=score,
        share=score / case.peaks[s],
        contribution=contribution,
        above_mean=above_mean,
        because=own,
        event=_searched(case) if name == "search" else did(case, own) if own is not None else None,
        tastes=list(_TASTES[name](case, item, s)) if name in _TASTES else [],
    )


def _added(case: Case, s: int, row: int) -> tuple[float, float]:
    """What the features of a source add to ``w·x``, in all and against the mean candidate."""
    added = float(case.sums[row, s])
    return added, added - float(case.mean_sums[s])


def _searched(case: Case) -> OwnEvent | None:
    time_ms = case.state.latest_ms
    query = last_query(case.state, time_ms, case.settings.interest)
    of_query = [s for s in case.state.searches if s.text == query and s.time_ms <= time_ms]
    return own_event(case, "search", of_query[-1].text, of_query[-1].time_ms) if of_query else None


def _query(case: Case, _item: int, _s: int) -> Iterator[Taste]:
    query = case.knowledge.vocabularies.queries.word(int(case.queries.query[0]))
    if query is not None:
        yield Taste(kind="query", name=query)


def _platform(case: Case, _item: int, _s: int) -> Iterator[Taste]:
    platform = case.knowledge.vocabularies.segments.word(int(case.queries.segment[0]))
    if platform:
        yield Taste(kind="platform", name=platform)


def _content(case: Case, item: int, s: int) -> Iterator[Taste]:
    """Category and brand of the item that the user likes, and the user's words that it is found by."""
    words, asked, known = case.knowledge.vocabularies, case.queries, case.knowledge.attributes
    of_item = known.category[item : item + 1]
    yield from _liked("category", asked.category, asked.category_weight, of_item, words.categories.word)
    of_item = known.brand[item : item + 1]
    yield from _liked("brand", asked.brand, asked.brand_weight, of_item, words.brands.word)
    source = case.knowledge.sources[s]
    if isinstance(source, TextSource):
        yield from _liked("word", asked.term, asked.term_weight, source.terms_of(item), words.terms.word)


def _liked(
    kind: str, liked: I32, weight: F32, of_item: I32, word: Callable[[int], str | None]
) -> Iterator[Taste]:
    its_own = of_item.tolist()
    for index, affinity in zip(liked[0].tolist(), weight[0].tolist(), strict=True):
        if index >= 0 and index in its_own and (name := word(index)) is not None:
            yield Taste(kind=kind, name=name, weight=affinity)


_TASTES: Final[dict[str, Callable[[Case, int, int], Iterator[Taste]]]] = {
    "search": _query,
    "content": _content,
    "cold_start": _platform,
}
"""What sources go by that name no item of the user's, by their names."""

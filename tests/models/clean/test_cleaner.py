"""What each step makes of events and entries, whatever batch they come in."""

from typing import Any

import pytest

from models.clean.cleaner import Cleaner
from models.clean.recipe import recipe
from models.interest.evidence import Details
from models.quality.actions import BLANK, Sanction
from schemas import topics
from schemas.catalog import Item, Promotion
from schemas.events import AnyEvent, Browse, Cart, Impression, Line, Purchase, Search

HEAD: dict[str, Any] = {"event_id": "e", "user_id": "u", "time_ms": 1_000}


IN_CENTS = {"do": "scale", "field": "price", "factor": 0.01, "sources": [topics.BROWSE]}
NAMELESS = {"item_id": "b", "brand": "no name"}


class Known:
    """The catalogue knows the category of ``a``, events the brand."""

    def facts_of(self, item_id: str) -> Details | None:
        return Details("shoes") if item_id == "a" else None

    def told_of(self, item_id: str) -> Details | None:
        return Details("shoes", "acme") if item_id == "a" else None


def cleaner(*steps: dict[str, Any]) -> Cleaner:
    return Cleaner(recipe({"version": "1", "steps": list(steps)}), Known())


def cleaned(by: Cleaner, *events: AnyEvent) -> tuple[list[AnyEvent], dict[str, int]]:
    """The events, and how many each step changed."""
    sources, marking = [topics.of_event(event) for event in events], by.marking(len(events))
    out = by.fill(sources, by.tidy(sources, events, marking), marking)
    return out, marking.marks().counts()


def browse(**fields: Any) -> Browse:
    return Browse(**HEAD, **{"item_id": "a", **fields})


@pytest.mark.parametrize(
    ("step", "before", "after"),
    [
        ({"do": "normalise", "fields": ["brand"]}, {"brand": " Rot\u00a0 & STRAẞE "}, {"brand": "rot & strasse"}),
        ({"do": "normalise", "fields": ["brand"]}, {"brand": "\uff21\uff23\uff2d\uff25"}, {"brand": "acme"}),
        ({"do": "normalise", "fields": ["brand"], "case": "keep"}, {"brand": " Acme "}, {"brand": "Acme"}),
        ({"do": "normalise", "fields": ["brand"], "unicode": None}, {"brand": "\ufb01x"}, {"brand": "fix"}),
        ({"do": "normalise", "fields": ["brand"]}, {"brand": "  "}, {"brand": None}),
        ({"do": "normalise", "fields": ["brand"]}, {"brand": "\ufdfa" * 200}, None),
        ({"do": "map", "field": "category", "values": {"x": "y"}}, {"category": "x"}, {"category": "y"}),
        ({"do": "map", "field": "category", "values": {"n/a": None}}, {"category": "n/a"}, {"category": None}),
        (IN_CENTS, {"price": 1999.0}, {"price": 19.99}),
        ({"do": "clip", "field": "price", "max": 50}, {"price": 80.0}, {"price": 50.0}),
        ({"do": "clip", "field": "price", "max": 50, "outside": "blank"}, {"price": 80.0}, {"price": None}),
        ({"do": "clip", "field": "dwell_ms", "max": 60_000}, {"dwell_ms": 90_000}, {"dwell_ms": 60_000}),
        ({"do": "alias", "values": {"a-red": "a"}}, {"item_id": "a-red"}, {"item_id": "a"}),
        ({"do": "fill", "fields": ["category", "brand"]}, {}, {"category": "shoes", "brand": "acme"}),
        ({"do": "fill", "fields": ["category", "brand"], "learned": False}, {}, {"category": "shoes"}),
        ({"do": "fill", "fields": ["brand"], "default": "no name"}, {"item_id": "b"}, NAMELESS),
    ],
)  # fmt: skip
def test_a_step_changes_what_it_says_and_counts_it(
    step: dict[str, Any], before: dict[str, Any], after: dict[str, Any] | None
) -> None:
    by = cleaner(step)
    (event,), counts = cleaned(by, browse(**before))
    assert isinstance(event, Browse)
    if after is None:
        assert 250 < len(event.brand or "") <= 256  # this character becomes eighteen
    else:
        assert event == browse(**after)
    assert counts == {by.steps[0]: 1}
    assert cleaned(by, event)[1] == {} or step["do"] == "scale", "what is clean stays"


def test_lines_of_orders_are_cleaned_and_counted_as_one_event() -> None:
    lines = [Line(item_id="a-red", price=900.0), Line(item_id="b", price=100.0, category="HATS")]
    by = cleaner(
        {"do": "scale", "field": "price", "factor": 0.01, "sources": ["events.purchase"]},
        {"do": "normalise", "fields": ["category"]},
        {"do": "alias", "values": {"a-red": "a"}},
        {"do": "fill", "fields": ["category"]},
    )
    (event, other), counts = cleaned(by, Purchase(**HEAD, lines=lines), browse(price=5.0, category="x"))
    assert isinstance(event, Purchase)
    assert event.lines == [
        Line(item_id="a", price=9.0, category="shoes"),
        Line(item_id="b", price=1.0, category="hats"),
    ]
    assert other == browse(price=5.0, category="x"), "a step keeps to its sources"
    assert counts == {"scale price": 1, "normalise category": 1, "alias item_id": 1, "fill category": 1}


def test_a_step_keeps_to_its_span_of_event_time() -> None:
    span = {"from": "1970-01-01T00:00:01Z", "until": "1970-01-01T00:00:02Z"}
    by = cleaner({"do": "map", "field": "brand", "values": {"x": "y"}, **span})
    times = (999, 1_000, 1_999, 2_000)
    events = [Browse(event_id="e", user_id="u", time_ms=t, item_id="a", brand="x") for t in times]
    assert [event.brand for event in cleaned(by, *events)[0] if isinstance(event, Browse)] == [
        "x",
        "y",
        "y",
        "x",
    ]


def test_variants_in_lists_become_one_item() -> None:
    by = cleaner({"do": "alias", "values": {"a-red": "a", "a-blue": "a"}})
    seen = Impression(**HEAD, item_ids=["a-red", "b", "a-blue"])
    found = Search(**HEAD, query="q", results=["b", "b"])
    (shown, searched), counts = cleaned(by, seen, found)
    assert isinstance(shown, Impression)
    assert shown.item_ids == ["a", "b"]
    assert searched == found
    assert counts == {"alias item_id": 1}


def test_a_query_that_says_nothing_stays_a_query() -> None:
    by = cleaner({"do": "normalise", "fields": ["query", "title"]})
    assert cleaned(by, Search(**HEAD, query="  "))[0] == [Search(**HEAD, query="")]


def test_events_that_say_the_same_within_a_window_get_one_id() -> None:
    by = cleaner({"do": "merge", "within_s": 2})

    def at(time_ms: int, event_id: str, item_id: str = "a") -> Browse:
        return Browse(event_id=event_id, user_id="u", time_ms=time_ms, item_id=item_id)

    said = [at(2_000, "1"), at(3_999, "2"), at(4_000, "3"), at(3_000, "4", "b")]
    ids = [event.event_id for event in cleaned(by, *said)[0]]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
    one = cleaned(by, Cart(event_id="5", user_id="u", time_ms=2_500, item_id="a"))[0][0]
    assert one.event_id not in ids, "another kind of event says something else"


def test_batches_change_nothing() -> None:
    by = cleaner({"do": "normalise", "fields": ["category"]}, {"do": "fill", "fields": ["brand"]})
    events = [browse(category=f" C{n % 3}") for n in range(20)]
    apart = [cleaned(by, event)[0][0] for event in events]
    assert cleaned(by, *events)[0] == apart


def test_the_catalogue_is_cleaned_alike_and_variants_are_passed_over() -> None:
    by = cleaner({"do": "normalise", "fields": ["category"]}, {"do": "alias", "values": {"a-red": "a"}})
    entries = [
        ("a", Item(item_id="a", time_ms=1, category="SHOES")),
        ("a-red", Item(item_id="a-red", time_ms=1)),
        ("b", None),
    ]
    kept, counts = by.entries(topics.ITEMS, entries)
    assert kept == [("a", Item(item_id="a", time_ms=1, category="shoes")), ("b", None)]
    assert counts == {"normalise category": 1}
    times = {"time_ms": 1, "starts_ms": 1, "ends_ms": 2}
    promotions, _ = by.entries(
        topics.PROMOTIONS,
        [("p", Promotion(promotion_id="p", item_ids=["a-red", "c"], category="HATS", **times))],
    )
    assert promotions[0][1] == Promotion(promotion_id="p", item_ids=["a", "c"], category="hats", **times)


def test_an_entry_is_passed_over_in_the_span_of_its_alias_alone() -> None:
    by = cleaner({"do": "alias", "values": {"a-red": "a"}, "until": "1970-01-01T00:00:10Z"})
    entries = [("a-red", Item(item_id="a-red", time_ms=time_ms)) for time_ms in (9_999, 10_000)]
    assert by.entries(topics.ITEMS, entries) == (entries[1:], {})
    assert by.named(topics.BROWSE, 9_999, ["a-red", "a"]) == ["a"]
    assert by.named(topics.BROWSE, 10_000, ["a-red", "a"]) == ["a-red", "a"]


def test_what_must_not_be_believed_is_blank_for_its_source_and_time() -> None:
    by = cleaner()
    sanction = Sanction(BLANK, topics.BROWSE, "price", since_ms=1_000, until_ms=2_000)
    events = [
        Browse(event_id="e", user_id="u", time_ms=t, item_id="a", brand="x", price=5.0)
        for t in (999, 1_000, 2_000)
    ]
    cart = Cart(**HEAD, item_id="a", price=5.0)
    sources, marking = [topics.BROWSE] * 3 + [topics.FEEDBACK], by.marking(4)
    out = by.blank([sanction], sources, [*events, cart], marking)
    assert [event.price for event in out if isinstance(event, Browse | Cart)] == [5.0, None, 5.0, 5.0]
    assert [event.brand for event in out if isinstance(event, Browse)] == ["x"] * 3
    assert marking.marks().counts() == {BLANK: 1}

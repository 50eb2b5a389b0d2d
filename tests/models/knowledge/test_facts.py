import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.knowledge.facts import (
    COLUMNS,
    FACTS_VERSION,
    Facts,
    Interaction,
    ItemHint,
    Place,
    UnknownFactsVersionError,
    decode,
    gather,
    places,
    record,
    records,
)

word = st.text(min_size=1, max_size=8)
maybe = st.none() | word
interactions = st.builds(
    Interaction,
    place=st.just(0),
    offset=st.integers(0, 2**62),
    user=st.integers(0, 2**64 - 1),
    session=st.integers(0, 2**64 - 1),
    item_id=st.sampled_from(["a", "b", "ä", "日本"]) | word,
    kind=st.integers(1, 10),
    time_ms=st.integers(0, 2**62),
    query=maybe,
    segment=maybe,
    category=maybe,
    brand=maybe,
    price=st.none() | st.floats(0.0, 1e9),
)


def row(offset: int, item: str, place: int = 0, **more: object) -> Interaction:
    given = {"category": None, "brand": None, "price": None, "query": None, "segment": None, **more}
    return Interaction(
        place=place, offset=offset, user=7, session=0, item_id=item, kind=1, time_ms=offset * 1_000, **given
    )


def rows_of(facts: Facts) -> list[Interaction]:
    """The rows that ``gather`` was given, read back out of the columns."""
    columns = {name: facts.column(name).tolist() for name in COLUMNS}
    rows = []
    for i in range(len(columns["offset"])):
        hint = facts.items[columns["item"][i]]
        query, segment = columns["query"][i], columns["segment"][i]
        rows.append(
            Interaction(
                columns["place"][i],
                columns["offset"][i],
                columns["user"][i],
                columns["session"][i],
                hint.item_id,
                columns["kind"][i],
                columns["time_ms"][i],
                None if query < 0 else facts.queries[query],
                None if segment < 0 else facts.segments[segment],
                hint.category,
                hint.brand,
                hint.price,
            )
        )
    return rows


@given(st.lists(interactions, max_size=20), st.integers(0, 9_999), st.integers(0, 2**62))
@settings(deadline=None)
def test_rows_come_back_from_the_record_as_they_went_in(rows, partition, last_offset):
    facts = gather([Place("events.browse", partition, last_offset)], rows)
    key, value = record(facts)
    assert places(key) == [("events.browse", partition, last_offset)]
    assert decode(value) == facts
    assert rows_of(decode(value)) == rows


def test_distinct_strings_are_written_once_in_the_order_they_come():
    facts = gather(
        [Place("events.browse", 0, 4)],
        [
            row(1, "b", query="red"),
            row(2, "a", segment="web"),
            row(3, "b", query="red"),
            row(4, "b", query="blue"),
        ],
    )
    assert [hint.item_id for hint in facts.items] == ["b", "a"]
    assert (facts.queries, facts.segments) == (["red", "blue"], ["web"])
    assert facts.column("item").tolist() == [0, 1, 0, 0]
    assert facts.column("query").tolist() == [0, -1, 0, 1]
    assert facts.column("segment").tolist() == [-1, 0, -1, -1]


def test_every_row_keeps_what_its_own_event_said_of_the_item():
    facts = gather(
        [Place("events.browse", 0, 3)], [row(1, "a", category="c"), row(2, "a", price=5.0), row(3, "a")]
    )
    assert facts.items == [
        ItemHint("a", "c", None, None),
        ItemHint("a", None, None, 5.0),
        ItemHint("a", None, None, None),
    ]


def test_a_batch_without_interactions_still_tells_how_far_it_went():
    facts = gather([Place("events.search", 2, 41)], [])
    assert (facts.places[0].last_offset, facts.items, rows_of(facts)) == (41, [], [])


def test_facts_of_a_newer_version_are_refused_by_name():
    newer = msgspec.structs.replace(
        gather([Place("events.browse", 0, 1)], [row(1, "a")]), version=FACTS_VERSION + 1
    )
    with pytest.raises(UnknownFactsVersionError, match="version 3, this worker reads 2"):
        decode(record(newer)[1])


def test_facts_of_a_newer_version_with_more_columns_are_refused_by_name():
    fields = msgspec.msgpack.decode(record(gather([Place("events.browse", 0, 1)], [row(1, "a")]))[1])
    fields[0] = FACTS_VERSION + 1
    with pytest.raises(UnknownFactsVersionError, match="version 3"):
        decode(msgspec.msgpack.encode([*fields, b"weights"]))


@pytest.mark.parametrize("value", [b"", b"\xc1", b"{}", msgspec.msgpack.encode([2, "t"]), b"\x91"])
def test_what_is_not_facts_is_refused_by_name(value):
    with pytest.raises(UnknownFactsVersionError, match="facts"):
        decode(value)


def test_small_facts_travel_in_one_record():
    facts = gather([Place("events.browse", 0, 9)], [row(1, "a")])
    assert list(records(facts)) == [record(facts)]


def test_facts_too_large_for_one_record_travel_in_several_that_end_at_offsets():
    # 200 lines an order, 40 orders, about 300 bytes a line (45 of columns and an id of 250): 2.4 MB.
    rows = [row(offset, f"{line:04d}{offset:04d}" + "x" * 242) for offset in range(40) for line in range(200)]
    facts = gather([Place("events.purchase", 1, 45)], rows)
    parts = list(records(facts, max_bytes=500_000))
    assert len(parts) == 8  # halved three times: 2.4, 1.2, 0.6, 0.3 MB
    assert all(len(value) <= 500_000 for _, value in parts)
    read = [decode(value) for _, value in parts]
    assert (
        [places(key)[0].last_offset for key, _ in parts]
        == [facts.places[0].last_offset for facts in read]
        == [4, 9, 14, 19, 24, 29, 34, 45]
    )
    assert [r for part in read for r in rows_of(part)] == rows


def test_one_event_is_never_split():
    rows = [row(3, f"i{line}") for line in range(200)]
    assert len(list(records(gather([Place("events.purchase", 0, 3)], rows), max_bytes=10))) == 1


@given(st.lists(interactions, max_size=20), st.integers(1, 2_000))
@settings(deadline=None)
def test_parts_say_together_what_the_whole_says(rows, max_bytes):
    rows = sorted(rows, key=lambda r: r.offset)
    facts = gather([Place("events.browse", 3, 2**62)], rows)
    parts = [decode(value) for _, value in records(facts, max_bytes)]
    assert [r for part in parts for r in rows_of(part)] == rows
    lasts = [part.places[0].last_offset for part in parts]
    assert lasts[-1] == 2**62
    assert lasts == sorted(set(lasts))


def test_a_part_covers_of_each_place_what_it_holds_and_the_last_part_all():
    covered = [Place("events.browse", 0, 9), Place("events.search", 1, 70), Place("events.browse", 1, 8)]
    rows = [
        row(offset, "i", place=number) for number, offsets in ((0, (3, 4)), (2, (5, 6))) for offset in offsets
    ]
    parts = [decode(value) for _, value in records(gather(covered, rows), max_bytes=100)]
    assert [r for part in parts for r in rows_of(part)] == rows
    assert [[place.last_offset for place in part.places] for part in parts] == [
        [3, -1, -1],
        [4, -1, -1],
        [-1, -1, 5],
        [9, 70, 8],
    ]

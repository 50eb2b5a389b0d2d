import pytest

from models.ingest import IngestCatalog
from models.ingest.record import Change
from models.ingest.settings import IngestSettings
from schemas import topics
from schemas.catalog import Item, Promotion
from schemas.rejections import Reason


@pytest.fixture
def ingest():
    return IngestCatalog(IngestSettings())


@pytest.fixture
def item(now_ms):
    return {"item_id": "i1", "time_ms": now_ms, "title": "Ein schöner Schuh"}


@pytest.fixture
def promotion(now_ms):
    return {
        "promotion_id": "p1",
        "time_ms": now_ms,
        "starts_ms": now_ms,
        "ends_ms": now_ms + 1,
        "discount": 0.2,
    }


def reasons(ingested):
    return [each.rejection.reason for each in ingested.rejected]


def test_entries_and_removals_keep_their_order(ingest, record, item, now_ms):
    batch = [
        record(item, topic=topics.ITEMS, key=b"i1", offset=1),
        record(None, topic=topics.ITEMS, key=b"i1", offset=2),
    ]
    added = Item(item_id="i1", time_ms=now_ms, title="Ein schöner Schuh")
    assert ingest(batch).changes == [Change(1, "i1", added), Change(2, "i1", None)]


def test_promotions_are_keyed_by_their_own_id(ingest, record, promotion):
    (change,) = ingest([record(promotion, topic=topics.PROMOTIONS, key=b"p1")]).changes
    assert (change.id, change.entry) == ("p1", Promotion(**promotion))
    assert reasons(ingest([record(promotion, topic=topics.PROMOTIONS, key=b"u1")])) == [Reason.KEY_MISMATCH]


def test_an_entry_is_never_too_late_but_may_not_come_from_the_future(ingest, record, item, now_ms):
    def at(time_ms):
        return reasons(ingest([record(item | {"time_ms": time_ms}, topic=topics.ITEMS, key=b"i1")]))

    assert at(now_ms - 3000 * 86_400_000) == []
    assert at(now_ms + 300_001) == [Reason.FROM_THE_FUTURE]
    assert at(1) == [Reason.OUT_OF_RANGE]


def test_a_promotion_may_run_for_ever_but_not_backwards(ingest, record, promotion, now_ms):
    def ending(ends_ms):
        return reasons(ingest([record(promotion | {"ends_ms": ends_ms}, topic=topics.PROMOTIONS, key=b"p1")]))

    assert ending(253_402_300_799_999) == []
    assert ending(now_ms - 1) == [Reason.OUT_OF_RANGE]
    assert ending(10**30) == [Reason.OUT_OF_RANGE]


@pytest.mark.parametrize("key", [None, b"", b" ", b"\xff", b"x" * 257])
def test_a_removal_needs_a_key_that_is_an_id(ingest, record, key):
    assert reasons(ingest([record(None, topic=topics.ITEMS, key=key)])) == [Reason.BAD_ID]


def test_an_empty_value_is_no_removal(ingest, record):
    assert reasons(ingest([record(b"", topic=topics.ITEMS, key=b"i1")])) == [Reason.EMPTY]


def test_unknown_fields_are_counted(ingest, record, item):
    batch = [record(item | {"colour": "red"}, topic=topics.ITEMS, key=b"i1")] * 3
    assert ingest(batch).unknown_fields == {"colour": 3}


def test_time_may_come_from_cloudevents_headers(ingest, record, now_ms):
    headers = [("ce_specversion", b"1.0"), ("ce_id", b"c1"), ("ce_time", b"2024-11-22T10:06:40Z")]
    (change,) = ingest([record({"item_id": "i1"}, topic=topics.ITEMS, key=b"i1", headers=headers)]).changes
    assert change.entry == Item(item_id="i1", time_ms=now_ms)
    assert (
        ingest([record({"item_id": "i1"}, topic=topics.ITEMS, key=b"i1", headers=headers)]).unknown_fields
        == {}
    )


def test_other_topics_are_the_callers_mistake(ingest, record, item):
    with pytest.raises(ValueError, match=r"given 'events\.browse'"):
        ingest([record(item)])
    assert ingest([]) == ([], [], {})

import pytest

from models.ingest import Ingest
from models.ingest.settings import Format, IngestSettings
from schemas import topics
from schemas.events import Browse, Cart, Click, Impression, Line, Purchase, Search, Wishlist
from schemas.rejections import Reason

SHOE = {"item_id": "i1", "item_name": "Shoe", "item_brand": "Acme", "item_category": "shoes", "price": "9.50"}


@pytest.fixture
def ga4(now_ms):
    def build(name, **fields):
        stamp = {"event_timestamp": now_ms * 1000 + 999, "user_pseudo_id": "u1"}
        return {"event_name": name, "event_id": "e1", **stamp, **fields}

    return build


@pytest.fixture
def segment():
    def build(name, **properties):
        track = {"type": "track", "event": name, "messageId": "e1", "userId": "u1"}
        return {**track, "timestamp": "2024-11-22T10:06:40.000Z", "properties": properties}

    return build


@pytest.fixture
def common(now_ms):
    return {"event_id": "e1", "user_id": "u1", "time_ms": now_ms}


def test_ga4_view_item(take, ga4, common):
    expected = Browse(**common, item_id="i1", category="shoes", brand="Acme", price=9.5)
    assert take(ga4("view_item", items=[SHOE])) == expected


def test_ga4_searches_keep_what_was_found(take, ga4, common):
    event = ga4("view_search_results", event_params={"search_term": "shoe"}, items=[SHOE, {"item_id": "i2"}])
    assert take(event, topic=topics.SEARCH) == Search(**common, query="shoe", results=["i1", "i2"])
    assert take(ga4("search", search_term="shoe"), topic=topics.SEARCH) == Search(**common, query="shoe")


def test_ga4_feedback(take, ga4, common):
    def of(name, **item):
        return take(ga4(name, items=[{"item_id": "i1", **item}]), topic=topics.FEEDBACK)

    assert of("select_item", index=3) == Click(**common, item_id="i1", position=3)
    assert of("add_to_cart", quantity=2, price=9.5) == Cart(**common, item_id="i1", quantity=2, price=9.5)
    assert of("add_to_wishlist") == Wishlist(**common, item_id="i1")
    assert of("view_item_list") == Impression(**common, item_ids=["i1"])


def test_ga4_purchase_items_become_lines(take, ga4, common):
    bought = [{"item_id": "i1", "quantity": "2", "price": 9.5, "location_id": "s1"}, {"item_id": 7}]
    event = ga4("purchase", ecommerce={"transaction_id": "o1", "currency": "EUR"}, items=bought)
    lines = [Line(item_id="i1", quantity=2, price=9.5, store_id="s1"), Line(item_id="7")]
    assert take(event, topic=topics.PURCHASE) == Purchase(
        **common, lines=lines, order_id="o1", currency="EUR"
    )


def test_ga4_as_the_bigquery_export_writes_it(take, now_ms, common):
    params = [
        {"key": "ga_session_id", "value": {"string_value": None, "int_value": "123"}},
        {"key": "search_term", "value": {"string_value": "shoe"}},
    ]
    event = {
        "event_name": "search",
        "event_timestamp": f"{now_ms}000",
        "user_id": "u1",
        "user_pseudo_id": "p",
    }
    read = take({**event, "event_id": "e1", "event_params": params}, topic=topics.SEARCH)
    assert read == Search(**common, query="shoe", session_id="123")


def test_ga4_as_the_measurement_protocol_sends_it(take, now_ms, common):
    event = {"name": "view_item", "params": {"event_id": "e1", "items": [{"item_id": "i1"}]}}
    body = {"client_id": "u1", "timestamp_micros": now_ms * 1000, "events": [event]}
    assert take(body) == Browse(**common, item_id="i1")
    assert take(body | {"events": [event, event]}).reason is Reason.MISSING_FIELD


def test_segment_product_viewed(take, segment, common):
    event = segment("Product Viewed", product_id="i1", category="shoes", brand="Acme", price=9.5, position=2)
    expected = Browse(**common, item_id="i1", category="shoes", brand="Acme", price=9.5, position=2)
    assert take(event) == expected


def test_segment_products_searched(take, segment, common):
    event = segment("Products Searched", query="shoe", products=[{"sku": "i1"}])
    assert take(event, topic=topics.SEARCH) == Search(**common, query="shoe", results=["i1"])


@pytest.mark.parametrize(
    ("name", "kind"),
    [("Product Clicked", Click), ("Product Added", Cart), ("Product Added to Wishlist", Wishlist)],
)
def test_segment_feedback(take, segment, common, name, kind):
    assert take(segment(name, product_id="i1"), topic=topics.FEEDBACK) == kind(**common, item_id="i1")


def test_segment_order_completed(take, segment, common):
    products = [{"product_id": "i1", "quantity": 2, "price": "9.50"}]
    event = segment("Order Completed", order_id="o1", currency="EUR", products=products)
    lines = [Line(item_id="i1", quantity=2, price=9.5)]
    assert take(event, topic=topics.PURCHASE) == Purchase(
        **common, lines=lines, order_id="o1", currency="EUR"
    )


def test_an_anonymous_shopper_is_known_by_the_anonymous_id(take, segment):
    event = segment("Product Viewed", product_id="i1") | {"userId": None, "anonymousId": "a1"}
    assert take(event, key=b"a1").user_id == "a1"


def test_an_event_without_id_gets_one_from_its_own_bytes(take, ga4):
    def event_id(value):
        return take(value).event_id

    bare = {name: each for name, each in ga4("view_item", items=[SHOE]).items() if name != "event_id"}
    assert event_id(bare) == event_id(bare)
    assert event_id(bare) != event_id(bare | {"event_timestamp": bare["event_timestamp"] + 1_000_000})
    assert take(bare, headers=[("ce_id", b"c1")]).event_id == "c1"


def test_fields_that_no_rule_reads_are_counted(record, ga4, segment):
    ingest = Ingest(IngestSettings())
    seen = ingest([record(ga4("view_item", items=[SHOE], value=9.5))]).unknown_fields
    assert seen == {"value": 1, "items[].item_name": 1}
    seen = ingest([record(segment("Product Viewed", product_id="i1", colour="red"))]).unknown_fields
    assert seen == {"type": 1, "colour": 1}


def test_an_event_name_on_the_wrong_topic_says_where_it_belongs(take, ga4):
    outcome = take(ga4("purchase", items=[SHOE]))
    assert outcome.reason is Reason.UNKNOWN_KIND
    assert outcome.detail == "event 'purchase' on events.browse, it belongs on events.purchase"
    assert take(ga4("scroll")).reason is Reason.UNKNOWN_KIND


def test_an_event_about_one_item_may_not_name_two(take, ga4):
    outcome = take(ga4("view_item", items=[SHOE, SHOE]))
    assert (outcome.reason, outcome.detail[:23]) == (Reason.OUT_OF_RANGE, "$.items names 2 items: ")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"items": [{"item_id": "i1", "price": "cheap"}]}, Reason.WRONG_TYPE),
        ({"items": [{"item_id": "i1", "price": "nan"}]}, Reason.WRONG_TYPE),
        ({"items": [{"item_id": "i1", "price": "1e400"}]}, Reason.WRONG_TYPE),
        ({"items": [{"item_id": "i1", "price": -1}]}, Reason.OUT_OF_RANGE),
        ({"items": [{"item_id": "i1", "price": 10**400}]}, Reason.OUT_OF_RANGE),
        ({"items": [{"item_id": ["i1"]}]}, Reason.WRONG_TYPE),
        ({"items": [{"item_id": " "}]}, Reason.BAD_ID),
        ({"items": [{}]}, Reason.MISSING_FIELD),
        ({"items": ["i1"]}, Reason.WRONG_TYPE),
        ({"items": {}}, Reason.MISSING_FIELD),
        ({"items": []}, Reason.OUT_OF_RANGE),
        ({"event_timestamp": "soon"}, Reason.WRONG_TYPE),
        ({"event_timestamp": "²"}, Reason.WRONG_TYPE),
        ({"event_timestamp": None}, Reason.MISSING_FIELD),
        ({"event_timestamp": 10**30}, Reason.OUT_OF_RANGE),
        ({"event_name": 3}, Reason.MISSING_FIELD),
        ({"user_pseudo_id": "u2"}, Reason.KEY_MISMATCH),
    ],
)
def test_translated_events_pass_the_same_checks(take, ga4, change, expected):
    assert take(ga4("view_item", items=[SHOE]) | change).reason is expected


def test_the_vocabulary_is_set_by_topic_or_header_or_found_by_its_marks(take, ga4, segment):
    plain = {
        name: each for name, each in segment("Product Viewed", product_id="i1").items() if name != "messageId"
    }
    assert isinstance(take(plain), Browse)
    assert isinstance(take(plain, settings=IngestSettings(formats={topics.BROWSE: Format.SEGMENT})), Browse)
    only_canonical = IngestSettings(formats={topics.BROWSE: Format.CANONICAL})
    assert take(plain, settings=only_canonical).reason is Reason.MISSING_FIELD
    unmarked = {"name": "view_item", "items": [SHOE]} | {
        "user_id": "u1",
        "event_timestamp": 1_732_270_000_000_000,
    }
    assert (
        take(unmarked | {"event_name": "view_item"}, headers=[("ce_type", b"ga4.view_item")]).item_id == "i1"
    )
    assert take(plain, headers=[("content-type", b"application/vnd.segment+json")]).item_id == "i1"
    assert take(plain, headers=[("content-type", b"application/vnd.ga4+json")]).reason is Reason.MISSING_FIELD

import importlib.util
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from models.ingest import Ingest
from models.ingest.dead_letter import DeadLetter, bury, exhume
from models.ingest.envelope import has_news
from models.ingest.plausibility import Limits, judge
from models.ingest.settings import IngestSettings
from schemas import topics
from schemas.rejections import Reason

BENCH = Path(__file__).parents[2] / "bench" / "fuzz_ingest.py"
N_RECORDS = 200_000

spec = importlib.util.spec_from_file_location("fuzz_ingest", BENCH)
fuzz = importlib.util.module_from_spec(spec)
sys.modules["fuzz_ingest"] = fuzz
spec.loader.exec_module(fuzz)

INGEST = Ingest(IngestSettings())
TELLING_NOTHING = ("content-type", b"text/plain")

words = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=60)
optional = st.none() | words
amounts = st.floats(0, 1e9)
times = st.integers(fuzz.NOW_MS - 7 * topics.DAY_MS, fuzz.NOW_MS + 300_000)
lines = st.fixed_dictionaries(
    {"item_id": words}, optional={"quantity": st.integers(1, 100_000), "price": amounts, "brand": optional}
)
base = {"event_id": words, "user_id": words, "time_ms": times}
extra = {"session_id": optional, "platform": optional, "schema_version": st.just(1)}
events = st.one_of(
    st.tuples(
        st.just(topics.BROWSE),
        st.fixed_dictionaries(
            {**base, "item_id": words}, optional={**extra, "price": amounts, "category": optional}
        ),
    ),
    st.tuples(
        st.just(topics.SEARCH),
        st.fixed_dictionaries({**base, "query": st.text(st.characters(codec="utf-8"))}, optional={**extra}),
    ),
    st.tuples(
        st.just(topics.PURCHASE),
        st.fixed_dictionaries({**base, "lines": st.lists(lines, min_size=1, max_size=5)}, optional=extra),
    ),
    st.tuples(
        st.just(topics.FEEDBACK),
        st.fixed_dictionaries(
            {**base, "kind": st.sampled_from(["click", "cart", "wishlist", "dismiss"]), "item_id": words},
            optional={**extra, "position": st.integers(0, 10_000)},
        ),
    ),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)
headers = st.lists(st.sampled_from(fuzz.JUNK_HEADERS), max_size=4)


def record(topic, event, **fields):
    value = event if isinstance(event, bytes) else msgspec.json.encode(event)
    key = event.get("user_id", "").encode() if isinstance(event, dict) else b"u1"
    return fuzz.Record(
        **{"topic": topic, "partition": 0, "offset": 0, "timestamp": fuzz.NOW_MS, "key": key, "value": value}
        | fields
    )


@pytest.fixture(scope="module")
def outcomes():
    """All batches of one seeded run, with what became of them."""
    return [(batch, INGEST(batch)) for batch in fuzz.batches(N_RECORDS, seed=7)]


def test_each_spoiled_record_is_either_accepted_or_rejected(outcomes):
    for batch, ingested in outcomes:
        fuzz.check(batch, ingested)
    assert sum(len(batch) for batch, _ in outcomes) == N_RECORDS


def test_the_mutators_reach_every_reason(outcomes):
    reached = {each.rejection.reason for _, ingested in outcomes for each in ingested.rejected}
    assert reached == set(Reason)
    assert sum(len(ingested.accepted) for _, ingested in outcomes) > N_RECORDS // 10


def test_the_short_way_and_the_exact_way_agree(outcomes):
    for batch, ingested in outcomes[::4]:
        plain = {each.offset for each in batch if not has_news(each.headers)}
        again = INGEST(
            [
                each._replace(headers=(*each.headers, TELLING_NOTHING))
                for each in batch
                if each.offset in plain
            ]
        )
        assert again.accepted == [each for each in ingested.accepted if each.offset in plain]
        reasons = [each.rejection for each in ingested.rejected if each.record.offset in plain]
        assert [each.rejection for each in again.rejected] == reasons


def test_whatever_is_accepted_passes_the_exact_checks(outcomes):
    limits = Limits(IngestSettings().allowed_lateness_ms, IngestSettings().future_tolerance_ms)
    for batch, ingested in outcomes[::4]:
        sources = {each.offset: each for each in batch}
        for offset, _, event in ingested.accepted:
            assert judge(event, sources[offset].key, sources[offset].timestamp, limits) is None


def test_an_accepted_event_encoded_again_is_accepted_with_the_same_value(outcomes):
    for batch, ingested in outcomes[::4]:
        sources = {each.offset: each for each in batch}
        again = [
            sources[offset]._replace(value=msgspec.json.encode(event), headers=())
            for offset, _, event in ingested.accepted
        ]
        assert INGEST(again) == (ingested.accepted, [], {})


def test_every_refused_record_can_be_buried_and_read_back(outcomes):
    for rejected in (each for _, ingested in outcomes[::10] for each in ingested.rejected):
        dead = bury(rejected)
        letter = exhume(record(dead.topic, b"", key=dead.key, value=dead.value, headers=dead.headers))
        assert isinstance(letter, DeadLetter)
        source = rejected.record
        assert (letter.topic, letter.offset, letter.reason) == (
            source.topic,
            source.offset,
            rejected.rejection.reason,
        )
        assert (letter.key, letter.value, letter.headers) == (source.key, source.value, list(source.headers))


@given(st.sampled_from(topics.BEHAVIOUR), st.binary(max_size=300), st.none() | st.binary(max_size=9), headers)
@example(topics.BROWSE, b"[" * 100_000, None, [])
def test_no_bytes_make_it_raise(topic, value, key, headers):
    batch = [record(topic, value, key=key, headers=headers)]
    fuzz.check(batch, INGEST(batch))


@settings(suppress_health_check=[HealthCheck.too_slow])  # a busy machine generates slowly, no more
@given(
    st.sampled_from(topics.BEHAVIOUR),
    st.dictionaries(
        st.sampled_from(
            [*base, *extra, "item_id", "lines", "kind", "query", "event_name", "items", "event", "properties"]
        ),
        json_values,
    ),
)
def test_no_json_makes_it_raise(topic, event):
    batch = [record(topic, msgspec.json.encode(event))]
    fuzz.check(batch, INGEST(batch))


@given(events)
def test_sound_events_are_accepted(topic_and_event):
    topic, event = topic_and_event
    accepted, rejected, unknown = INGEST([record(topic, event)])
    assert (rejected, unknown) == ([], {})
    assert accepted[0].event == msgspec.convert(event, topics.topic(topic).value_type)


@given(events, st.dictionaries(words.map("x-{}".format), json_values, max_size=5))
def test_unknown_fields_change_nothing_but_the_counts(topic_and_event, junk):
    topic, event = topic_and_event
    accepted, rejected, unknown = INGEST([record(topic, event | junk)])
    assert (accepted, rejected) == INGEST([record(topic, event)])[:2]
    assert sum(unknown.values()) == len(junk)


@given(st.lists(events, max_size=20), st.integers(0, 20))
@settings(max_examples=50)
def test_how_records_are_batched_makes_no_difference(topics_and_events, at):
    batch = [record(topics.BROWSE, event, offset=i) for i, (_, event) in enumerate(topics_and_events)]
    first, second, whole = INGEST(batch[:at]), INGEST(batch[at:]), INGEST(batch)
    assert first.accepted + second.accepted == whole.accepted
    assert first.rejected + second.rejected == whole.rejected

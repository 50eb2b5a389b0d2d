"""Payloads as the vendors document them become exactly the events that the recipes in docs/connect.md promise."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.ingest.settings import IngestSettings
from schemas import topics
from streams.follow import FollowedRecord
from streams.inventory.proposal import fitting, nested_presets
from streams.log import read_log
from streams.log.presets import preset
from streams.log.records import Carried, Records

FIXTURES = Path(__file__).with_name("fixtures")
AT_MS = 1_795_168_800_000
"""2026-11-20 10:00 UTC, when the first record of each fixture was produced; the others follow by a second."""


def fixture(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FIXTURES / f"{name}.json").read_text())
    return found


def records(name: str) -> list[FollowedRecord]:
    """The fixture as it would lie on the topic ``shop``, all in its first partition."""
    return [
        FollowedRecord("shop", 0, offset, AT_MS + 1_000 * offset, None, value_of(each), headers_of(each))
        for offset, each in enumerate(fixture(name)["records"])
    ]


def value_of(each: dict[str, Any]) -> bytes:
    text: str = each["text"] if "text" in each else json.dumps(each["value"])
    return text.encode()


def headers_of(each: dict[str, Any]) -> list[tuple[str, bytes]]:
    return [(name, value.encode()) for name, value in each.get("headers", {}).items()]


def becomes(carried: Carried) -> list[list[Any]]:
    found = [[each.topic, msgspec.to_builtins(each.event)] for each in carried.events]
    return found + [[topics.ITEMS, msgspec.to_builtins(each.entry)] for each in carried.entries]


def cases() -> Iterator[Any]:
    for name in nested_presets():
        for place, each in enumerate(fixture(name)["records"]):
            yield pytest.param(name, place, each, id=f"{name}-{place}")


@pytest.mark.parametrize(("name", "place", "each"), list(cases()))
def test_a_documented_payload_becomes_exactly_these_events(
    name: str, place: int, each: dict[str, Any]
) -> None:
    carried = Records(preset(name), IngestSettings())(records(name)[place])
    assert becomes(carried) == each["becomes"]
    assert (carried.rejection.reason if carried.rejection else None) == each.get("refused")


@pytest.mark.parametrize("name", nested_presets())
def test_a_topic_is_told_by_its_records_and_its_preset_is_proposed(name: str) -> None:
    best = next(each for each in fitting(records(name)) if each.proposal.mapping)
    assert best.name == name
    kept = sum(bool(each["becomes"]) for each in fixture(name)["records"])
    assert sum(best.proposal.events.values()) == kept


@pytest.mark.parametrize("name", ["segment", "snowplow", "shopify-pixel"])
def test_a_file_of_the_same_records_becomes_the_same_events(name: str, tmp_path: Path) -> None:
    path = tmp_path / "shop.jsonl"
    path.write_bytes(
        b"\n".join(value_of(each) for each in fixture(name)["records"] if not each.get("refused"))
    )
    events = [[each.topic, msgspec.to_builtins(each.event)] for each in read_log(path, name)]
    expected = [event for each in fixture(name)["records"] for event in each["becomes"]]
    assert events == [event for event in expected if event[0] != topics.ITEMS]


@pytest.mark.parametrize("name", nested_presets())
def test_nothing_that_names_a_person_is_copied(name: str) -> None:
    read = Records(preset(name), IngestSettings())
    copied = json.dumps([[becomes(read(record)), read.rows(record)] for record in records(name)])
    for personal in (
        "@",
        "203.0.113.7",
        "8.8.8.8",
        "John",
        "Jon",
        "+1555",
        "555-",
        "Mozilla",
        "Shipping Street",
    ):
        assert personal not in copied


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)


@st.composite
def mutated(draw: st.DrawFn) -> FollowedRecord:
    """A documented record with some of its parts exchanged, or its bytes cut, or none of it at all."""
    name = draw(st.sampled_from(nested_presets()))
    record = draw(st.sampled_from(records(name)))
    assert record.value is not None
    if record.value.startswith(b"{") and draw(st.booleans()):
        value = json.loads(record.value)
        for _ in range(draw(st.integers(1, 4))):
            _exchange(draw, value)
        return record._replace(value=json.dumps(value).encode())
    cut = draw(st.integers(0, len(record.value)))
    return record._replace(value=record.value[:cut] + draw(st.binary(max_size=8)) + record.value[cut + 1 :])


def _exchange(draw: st.DrawFn, value: Any) -> None:
    """Something within ``value`` becomes anything."""
    while isinstance(value, dict | list) and value:
        places = sorted(value) if isinstance(value, dict) else range(len(value))
        place = draw(st.sampled_from(list(places)))
        if not isinstance(value[place], dict | list) or not value[place] or draw(st.booleans()):
            value[place] = draw(anything)
            return
        value = value[place]


@given(record=mutated() | st.binary(max_size=200).map(lambda value: records("ga4")[0]._replace(value=value)))
def test_no_input_raises_and_what_is_carried_is_what_ingest_takes(record: FollowedRecord) -> None:
    for name in nested_presets():
        carried = Records(preset(name), IngestSettings())(record)
        assert not (carried.rejection and carried.events)
        for each in carried.events:
            shape = topics.topic(each.topic).value_type
            assert msgspec.json.decode(msgspec.json.encode(each.event), type=shape) == each.event


def test_the_event_ids_of_a_record_do_not_change_when_it_is_read_again() -> None:
    ids = [
        [
            each.event.event_id
            for record in records("ga4")
            for each in Records(preset("ga4"), IngestSettings())(record).events
        ]
        for _ in range(2)
    ]
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == len(ids[0])

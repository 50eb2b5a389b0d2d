"""Open streams get the newest, at their pace, and are told how much there was."""

import json
from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from schemas import topics
from streams.api.live import Hub, Tap, as_message
from streams.follow import FollowedRecord


def record(topic: str, offset: int, key: bytes = b"k") -> FollowedRecord:
    return FollowedRecord(topic, 0, offset, 1_000 + offset, key, b"{}", ())


def parsed(message: bytes) -> dict[str, Any]:
    lines = dict(line.split(": ", 1) for line in message.decode().splitlines() if line)
    return lines | {"data": json.loads(lines["data"])}


def test_a_message_carries_the_value_as_it_is() -> None:
    found = parsed(as_message("alerts", record(topics.ALERTS, 7, b"u"), b'{"a":1}'))
    assert (found["event"], found["id"]) == ("alerts", "1007")
    assert found["data"] == {
        "topic": topics.ALERTS,
        "partition": 0,
        "offset": 7,
        "key": "u",
        "time_ms": 1007,
        "value": {"a": 1},
    }


def test_what_is_not_sent_again_has_no_id_to_come_back_with() -> None:
    for topic in (topics.SLATES, topics.BROWSE):
        assert "id" not in parsed(as_message("slates", record(topic, 7), b"{}"))


def test_a_value_of_several_lines_is_left_out() -> None:
    assert parsed(as_message("slates", record(topics.SLATES, 1), b'{\n"a":1}'))["data"]["value"] is None


def test_a_watch_holds_the_newest_slate_only() -> None:
    hub = Hub()
    watch = hub.watch(b"u")
    hub.slate(b"u", b"1", b"{}")
    hub.slate(b"other", b"2", b"{}")
    hub.slate(b"u", b"3", b"{}")
    assert watch.news.is_set()
    assert [parsed(each)["id"] for each in watch.take()] == ["3"]
    assert not watch.news.is_set()
    hub.unwatch(b"u", watch)
    hub.slate(b"u", b"4", b"{}")
    assert watch.take() == []


def test_rare_channels_come_before_busy_ones() -> None:
    hub = Hub()
    tap = hub.tap(["slates", "alerts"], max_per_s=40)  # 4 a tick
    for offset in range(100):
        hub.add(record(topics.SLATES, offset), b"{}")
    hub.add(record(topics.ALERTS, 0), b"{}")
    hub.tick(0.0, 0)
    found = [parsed(each) for each in tap.take()]
    assert Counter(each["event"] for each in found) == {"alerts": 1, "slates": 3}
    assert [each["data"]["offset"] for each in found if each["event"] == "slates"] == [97, 98, 99]


def test_what_was_seen_and_sent_is_told_each_second() -> None:
    hub = Hub()
    tap = hub.tap(["slates", "alerts"], max_per_s=20)  # 2 a tick
    began_s = hub._told_s
    for offset in range(5):
        hub.add(record(topics.SLATES, offset), b"{}")
    hub.add(record(topics.RELATED, 0), b"{}")
    hub.tick(began_s + 0.5, 500)
    assert [parsed(each)["event"] for each in tap.take()] == ["slates", "slates"]
    hub.tick(began_s + 1.0, 1_000)
    (told,) = (parsed(each) for each in tap.take())
    assert told["event"] == "rates"
    assert told["data"] == {"time_ms": 1_000, "interval_s": 1.0, "seen": {"slates": 5}, "sent": {"slates": 2}}
    hub.tick(began_s + 2.0, 2_000)
    assert tap.take() == []  # nothing came, nothing is told


def test_nobody_costs_nothing() -> None:
    hub = Hub()
    hub.add(record(topics.SLATES, 1), b"{}")
    tap = hub.tap(["slates"], 20)
    hub.tick(0.0, 0)
    assert tap.take() == []
    assert hub.wants("slates")
    hub.untap(tap)
    assert not hub.wants("slates")


@given(
    counts=st.dictionaries(st.sampled_from(["slates", "alerts", "audit", "model"]), st.integers(1, 60)),
    max_per_s=st.integers(1, 50),
)
def test_a_tick_brings_no_more_than_its_share_or_one_of_each_channel(
    counts: dict[str, int], max_per_s: int
) -> None:
    tap = Tap(counts, max_per_s, {})
    tap.put({name: [b"%d" % n for n in range(count)] for name, count in counts.items()})
    budget = max(1, max_per_s // 10)
    found = tap.take()
    assert len(found) <= max(budget, len(counts))
    assert len(found) >= min(budget, sum(counts.values()), len(counts))

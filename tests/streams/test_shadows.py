"""Shadow learners beside a worker on an embedded broker, and the slice of the events that they read."""

import json
import os
import time
from collections.abc import Iterator, Sequence
from itertools import chain, count, islice
from pathlib import Path

import msgspec
import numpy as np
import pytest
from chaos import WorkerProcess, wait_for
from command import rillet
from confluent_kafka import Producer
from topic_content import all_of

from models.value.report import combined
from models.value.shadows import in_slice
from schemas import topics
from schemas.events import AnyEvent, Browse, Line, Purchase
from schemas.value import ValueReport
from streams.kafka_admin import ensure
from streams.settings import Settings, load
from streams.slice import Slice

ALL_OF_THEM = {"RILLET_VALUE__SHADOW_SHARE": "1"}


def look(user: str, item: int, time_ms: int) -> Browse:
    return Browse(
        event_id=f"{user} {time_ms}",
        user_id=user,
        time_ms=time_ms,
        item_id=f"i{item}",
        category=f"c{item // 10}",
    )


def rounds(n: int) -> Iterator[list[AnyEvent]]:
    """``n`` shoppers who walk along a ring of 60 items and buy one in ten: a step of each, without end."""
    rng, began_ms = np.random.default_rng(7), int(time.time() * 1000) - 600_000
    for step in count():
        now_ms, events = began_ms + 1_000 * step, list[AnyEvent]()
        for shopper in range(n):
            user, item, at_ms = f"u{shopper}", (7 * shopper + step) % 60, now_ms + shopper
            events.append(look(user, item, at_ms))
            if rng.random() < 0.1:
                order = {"event_id": f"{user} order {step}", "user_id": user, "time_ms": at_ms + 1}
                events.append(Purchase(**order, lines=[Line(item_id=f"i{item}")]))
        yield events


def send(servers: str, events: Sequence[AnyEvent]) -> None:
    producer = Producer({"bootstrap.servers": servers, "partitioner": "murmur2_random", "log_level": 0})
    for event in events:
        topic, value = topics.of_event(event), msgspec.json.encode(event)
        producer.produce(topic, value, event.user_id.encode(), timestamp=event.time_ms)
        producer.poll(0)
    assert producer.flush(30) == 0


def told(servers: str, of: str) -> list[ValueReport]:
    records = all_of(servers, topics.VALUE)
    reports = [msgspec.json.decode(each.value or b"", type=ValueReport) for each in records]
    return [each for each in reports if each.of == of]


def n_tried(servers: str) -> int:
    return sum(each.n for each in told(servers, "shadow"))


def test_shadow_learners_beside_a_worker_are_shown_beside_its_values(
    embedded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = {**ALL_OF_THEM, "RILLET_VALUE__REPORT_S": "1", "RILLET_VALUE__SHARE": "1",
             "RILLET_RANK__FILTER_VIEWED": "false"}  # fmt: skip
    for name in ("worker", "shadows"):
        (tmp_path / name).mkdir()
    worker = WorkerProcess(embedded, "shop", "one", tmp_path / "worker", extra)
    shadows = WorkerProcess(embedded, "shop", "shadows", tmp_path / "shadows", extra, "shadows")
    with worker.start(), shadows.start():
        wait_for(worker.ready, "the worker is ready", worker=worker)
        wait_for(lambda: "shadows_started" in shadows.tail(), "shadows read", worker=shadows)
        steps = rounds(60)

        def both_tell() -> bool:
            send(embedded, next(steps))
            return bool(n_tried(embedded) > 1_000 and told(embedded, "source"))

        wait_for(both_tell, "values and losses are told", worker=shadows)
        assert shadows.stop() == 0, shadows.tail()
        assert worker.stop() == 0

    whole = combined(told(embedded, "shadow"))
    assert whole is not None
    lost = {each.player: each for each in whole.values if each.metric == "ndcg"}
    assert lost["browse"].left_out - 2 * lost["browse"].left_out_error > 0.1
    assert abs(lost["attributes"].left_out) < lost["browse"].left_out
    assert lost["search"].left_out_error == lost["feedback"].left_out_error == 0.0

    monkeypatch.setenv("RILLET_BOOTSTRAP_SERVERS", embedded)
    shown = rillet("value", "--since", "beginning")
    assert shown.returncode == 0, shown.stderr
    assert "learning" in shown.stdout
    assert "Kendall's tau" in shown.stdout
    found = json.loads(rillet("value", "--since", "beginning", "--json").stdout)
    assert found["shadow"]["n"] == whole.n
    by_signal = rillet("value", "--since", "beginning", "--by", "signal")
    assert "learning" not in by_signal.stdout


@pytest.fixture
def settings(embedded: str) -> Settings:
    settings = load(environ={**os.environ, **ALL_OF_THEM, "RILLET_BOOTSTRAP_SERVERS": embedded,
                             "RILLET_VALUE__SHADOW_LAG": "50"})  # fmt: skip
    ensure(settings)
    return settings


def read(part: Slice, n: int) -> list[AnyEvent]:
    events: list[AnyEvent] = []
    wait_for(lambda: events.extend(part.due()) or len(events) >= n, f"{n} events")
    return events


def test_a_slice_is_in_the_order_of_time_and_of_its_users(settings: Settings, embedded: str) -> None:
    sent = list(chain.from_iterable(islice(rounds(100), 8)))
    send(embedded, sent)
    part = Slice(
        settings.model_copy(update={"value": settings.value.model_copy(update={"shadow_share": 0.3})}), 0
    )
    assert not part.caught_up
    mine = [event for event in sent if in_slice(event.user_id.encode(), 0.3)]
    events = read(part, len(mine))
    assert [each.time_ms for each in events] == sorted(each.time_ms for each in mine)
    assert {each.event_id for each in events} == {each.event_id for each in mine}
    assert part.caught_up
    part.close()


def test_what_comes_faster_than_it_is_read_is_in_the_order_of_time_too(
    settings: Settings, embedded: str
) -> None:
    part = Slice(
        settings.model_copy(update={"value": settings.value.model_copy(update={"shadow_lag": 10_000})})
    )
    part.due()
    sent = list(chain.from_iterable(islice(rounds(100), 30)))
    send(embedded, sent)
    times_ms = [each.time_ms for each in read(part, len(sent))]
    # 500 records of one partition come at once; with no heed of the others, they would be half a minute ahead.
    late_ms = np.maximum.accumulate(times_ms) - times_ms
    assert late_ms.max() < 5_000
    part.close()


def test_without_a_past_only_what_comes_next_is_read(settings: Settings, embedded: str) -> None:
    now_ms = int(time.time() * 1000)
    send(embedded, [look("early", 1, now_ms)])
    part = Slice(settings)
    assert part.caught_up
    send(embedded, [look("late", 1, now_ms)])
    assert [each.user_id for each in read(part, 1)] == ["late"]
    part.close()


def test_what_is_too_far_behind_is_skipped_and_said(
    settings: Settings, embedded: str, caplog: pytest.LogCaptureFixture
) -> None:
    now_ms = int(time.time() * 1000)
    part = Slice(settings)
    # More than one read takes: 500 of 2,000, so that more than 50 are left.
    send(embedded, [look(f"u{n}", 1, now_ms) for n in range(2_000)])
    events: list[AnyEvent] = []
    wait_for(lambda: events.extend(part.due()) or "shadows_skipped" in caplog.text, "it skips")
    send(embedded, [look("newest", 2, now_ms)])
    wait_for(lambda: events.extend(part.due()) or events[-1].user_id == "newest", "it goes on")
    assert len(events) < 2_001
    part.close()

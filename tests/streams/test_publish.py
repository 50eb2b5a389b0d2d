"""Leaderboards and related items: what a round publishes, and that an unchanged list is not published again."""

import asyncio
import itertools
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from confluent_kafka import Consumer, TopicPartition

from models.kinds import Kind
from models.knowledge.base import KnowledgeBase
from models.knowledge.facts import Interaction, Place, gather
from models.knowledge.settings import KnowledgeSettings
from models.retrieve.settings import (
    CovisitationSettings,
    RetrieveSettings,
    SessionKnnSettings,
    TrendingSettings,
)
from schemas import topics
from schemas.catalog import Item
from schemas.outputs import RankedItem, Related, Slate, SlateItem, Trending
from streams import publish
from streams.engine.outbox import Outbox
from streams.partitioner import partition_of
from streams.publish import Publisher, slate_record
from streams.settings import PublishSettings

START_MS = 1_700_000_000_000
SMALL = RetrieveSettings(
    session_knn=SessionKnnSettings(n_blocks=256, n_sessions=64),
    covisitation=CovisitationSettings(n_sessions=64),
)
_offsets = itertools.count()


def row(item: str, session: int = 0, **more: Any) -> Interaction:
    given = {"query": None, "segment": None, "category": None, "brand": None, "price": None, **more}
    return Interaction(0, next(_offsets), session, session, item, Kind.VIEW, START_MS, **given)


def learn(knowledge: KnowledgeBase, *rows: Interaction) -> None:
    knowledge.learn(gather([Place(topics.BROWSE, 0, rows[-1].offset)], rows))


def sessions(knowledge: KnowledgeBase, *visits: str) -> None:
    """One session a string of one-letter items."""
    numbered = [(1_000_000 + next(_offsets), visit) for visit in visits]
    learn(knowledge, *(row(item, session) for session, visit in numbered for item in visit))


@pytest.fixture
def knowledge() -> KnowledgeBase:
    return KnowledgeBase(KnowledgeSettings(max_items=64), SMALL)


def publisher(
    knowledge: KnowledgeBase,
    owned: Any = range(4),
    outbox: Any = None,
    **settings: Any,
) -> Publisher:
    owns = lambda topic, partition: topic == topics.BROWSE and partition in owned  # noqa: E731
    return Publisher(knowledge, outbox, PublishSettings(**settings), 4, owns)


def boards(records: Iterator[publish.Record | None]) -> dict[str, list[str]]:
    """Item ids by key, of the records of one round."""
    found = {}
    for record in records:
        if record is not None:
            topic, key, value = record
            assert key not in found
            found[key] = [item.item_id for item in read(topic, value).items]
    return found


def read(topic: str, value: bytes) -> Trending | Related:
    return msgspec.json.decode(value, type=Trending if topic == topics.TRENDING else Related)


class TestTrending:
    def test_what_is_popular_now_overall_and_by_category(self, knowledge: KnowledgeBase) -> None:
        learn(
            knowledge,
            *(row("a", category="c1") for _ in range(3)),
            row("b", category="c2"),
            row("b"),
            row("x"),
        )
        # a was viewed three times, b twice, x, of no category, once.
        assert boards(publisher(knowledge).trending()) == {"*": ["a", "b", "x"], "c1": ["a"], "c2": ["b"]}

    def test_a_board_says_what_it_is(self, knowledge: KnowledgeBase) -> None:
        learn(knowledge, row("a", category="c1"), row("a"))
        overall, of_category = (record for record in publisher(knowledge).trending() if record)
        board = read(overall[0], overall[2])
        # The second of the three half-lives; both views were just now, so nothing has decayed.
        assert (board.category, board.half_life_s) == (None, TrendingSettings().half_lives_s[1])
        assert board.items == [RankedItem("a", 2.0)]
        assert read(of_category[0], of_category[2]).category == "c1"

    def test_a_board_is_as_long_as_set(self, knowledge: KnowledgeBase) -> None:
        learn(knowledge, *(row(f"i{n}", category="c") for n in range(9)))
        found = boards(publisher(knowledge, slate_length=4).trending())
        assert {key: len(items) for key, items in found.items()} == {"*": 4, "c": 4}

    def test_what_cannot_be_bought_makes_room_for_the_next(self, knowledge: KnowledgeBase) -> None:
        learn(knowledge, *(row(item, category="c") for item in "aaabbc"))
        knowledge.describe(
            [("a", None), ("b", Item(item_id="b", time_ms=START_MS, category="c", available=False))]
        )
        assert boards(publisher(knowledge, slate_length=1).trending()) == {"*": ["c"], "c": ["c"]}

    def test_an_unchanged_board_is_not_published_again(self, knowledge: KnowledgeBase) -> None:
        ours = publisher(knowledge)
        learn(knowledge, *(row(item, category=f"c{item}") for item in "aaab"))
        assert set(boards(ours.trending())) == {"*", "ca", "cb"}
        assert boards(ours.trending()) == {}
        learn(knowledge, row("a"))  # more of the same: no other order
        assert boards(ours.trending()) == {}
        learn(knowledge, *(row("b") for _ in range(9)))
        assert boards(ours.trending()) == {"*": ["b", "a"]}

    def test_a_board_that_became_empty_is_published_once_more(self, knowledge: KnowledgeBase) -> None:
        ours = publisher(knowledge)
        learn(knowledge, row("a", category="c"), row("b"))
        boards(ours.trending())
        knowledge.describe([("a", Item(item_id="a", time_ms=START_MS, category="c", available=False))])
        assert boards(ours.trending()) == {"*": ["b"], "c": []}
        assert boards(ours.trending()) == {}

    def test_only_the_owner_of_partition_0_publishes_boards(self, knowledge: KnowledgeBase) -> None:
        learn(knowledge, row("a"))
        assert boards(publisher(knowledge, owned=[1, 2, 3]).trending()) == {}

    def test_a_category_with_the_name_of_the_overall_board_gets_none(self, knowledge: KnowledgeBase) -> None:
        learn(knowledge, row("a", category="*"), row("b"), row("b"))
        assert boards(publisher(knowledge).trending()) == {"*": ["b", "a"]}

    def test_a_shop_without_events_has_no_boards(self, knowledge: KnowledgeBase) -> None:
        assert boards(publisher(knowledge).trending()) == {}

    def test_without_the_source_there_are_none(self) -> None:
        off = RetrieveSettings(
            trending=TrendingSettings(enabled=False), covisitation=CovisitationSettings(enabled=False)
        )
        knowledge = KnowledgeBase(KnowledgeSettings(max_items=64), off)
        learn(knowledge, row("a", 1), row("b", 1))
        ours = publisher(knowledge)
        assert boards(ours.trending()) == boards(ours.related()) == {}


class TestRelated:
    def test_items_that_go_together_when_they_changed(self, knowledge: KnowledgeBase) -> None:
        ours = publisher(knowledge)
        sessions(knowledge, "ab", "abc")
        # b follows a twice at distance 1, c once at distance 2; backwards counts half.
        assert boards(ours.related()) == {"a": ["b", "c"], "b": ["a", "c"], "c": ["b", "a"]}
        assert boards(ours.related()) == {}  # nothing changed
        sessions(knowledge, "ab")
        assert boards(ours.related()) == {}  # more of the same
        sessions(knowledge, "ad")
        # a gets a third neighbour at distance 1, ahead of c's one half; d gets its first; b and c keep theirs.
        assert boards(ours.related()) == {"a": ["b", "d", "c"], "d": ["a"]}

    def test_the_items_of_a_partition_have_one_publisher(self, knowledge: KnowledgeBase) -> None:
        other = KnowledgeBase(KnowledgeSettings(max_items=64), SMALL)
        letters = "abcdefghij"
        for each in (knowledge, other):
            sessions(each, letters)
        one, two = publisher(knowledge, owned=[0, 3]), publisher(other, owned=[1, 2])
        found = [set(boards(ours.related())) for ours in (one, two)]
        assert found[0] | found[1] == set(letters)
        assert found[0] & found[1] == set()
        assert all(found)
        assert found[0] == {item for item in letters if partition_of(item.encode(), 4) in (0, 3)}

    def test_what_cannot_be_bought_makes_room_for_the_next(self, knowledge: KnowledgeBase) -> None:
        sessions(knowledge, "ab", "ab", "ac")
        knowledge.describe([("b", None)])
        assert boards(publisher(knowledge, slate_length=1).related())["a"] == ["c"]

    def test_at_most_so_many_in_a_round_the_rest_in_the_next(
        self, knowledge: KnowledgeBase, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(publish, "MAX_RELATED", 3)
        sessions(knowledge, "abcde")
        ours = publisher(knowledge)
        assert [sorted(boards(ours.related())) for _ in range(3)] == [["a", "b", "c"], ["d", "e"], []]

    def test_an_item_evicted_before_its_round_is_not_published(self, knowledge: KnowledgeBase) -> None:
        sessions(knowledge, "ab")
        learn(knowledge, *(row(f"n{n}", 1 + n) for n in range(64)))  # all 64 places: a and b are gone
        assert boards(publisher(knowledge).related()) == {}

    def test_an_item_evicted_during_a_round_keeps_its_name_in_it(self, knowledge: KnowledgeBase) -> None:
        sessions(knowledge, "ab", "cd")
        round_ = publisher(knowledge).related()
        first = next(round_)
        # The event loop turns between two lists, and other items get the indexes.
        learn(knowledge, *(row(f"n{n}") for n in range(64)))
        records = [record for record in (first, *round_) if record is not None]
        assert boards(iter(records)) == {"a": ["b"], "b": ["a"], "c": ["d"], "d": ["c"]}


def test_what_is_remembered_of_published_lists_is_bounded(
    knowledge: KnowledgeBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "MAX_REMEMBERED", 5)
    ours = publisher(knowledge)
    for start in range(0, 40, 4):
        learn(knowledge, *(row(f"i{n}", 10_000 + start) for n in range(start, start + 4)))
        boards(ours.related())
        assert len(ours._published) <= 5
    assert list(ours._published) == [f"related i{n}" for n in range(35, 40)]


def test_a_slate_is_keyed_by_its_user() -> None:
    slate = Slate(
        slate_id="events.browse-0-7",
        user_id="ü1",
        items=[SlateItem("a", 1.0, [])],
        event_id="e1",
        event_time_ms=1,
        processed_ms=2,
        model_version="fixed-1",
    )
    topic, key, value, headers = slate_record(slate)
    assert (topic, key) == (topics.SLATES, "ü1".encode())
    assert msgspec.json.decode(value, type=Slate) == slate
    assert b"events.browse-0-7" in dict(headers).values()


def test_both_timers_publish_on_the_broker(knowledge: KnowledgeBase, embedded: str) -> None:
    sessions(knowledge, "ab")

    def read_two() -> dict[str, set[bytes]]:
        consumer = Consumer({"bootstrap.servers": embedded, "group.id": "g", "auto.offset.reset": "earliest"})
        consumer.assign(
            [TopicPartition(t, p, 0) for t in (topics.TRENDING, topics.RELATED) for p in range(4)]
        )
        found: dict[str, set[bytes]] = {topics.TRENDING: set(), topics.RELATED: set()}
        while len(found[topics.TRENDING]) < 1 or len(found[topics.RELATED]) < 2:
            for message in consumer.consume(10, 0.1):
                if not message.error():
                    found[message.topic()].add(message.key())
        consumer.close()
        return found

    async def main() -> dict[str, set[bytes]]:
        outbox = Outbox({"bootstrap.servers": embedded})
        ours = publisher(knowledge, outbox=outbox, trending_interval_s=0.1, related_interval_s=0.1)
        running = asyncio.create_task(ours.run())
        try:
            return await asyncio.wait_for(asyncio.to_thread(read_two), 30)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            outbox.close()

    assert asyncio.run(main()) == {topics.TRENDING: {b"*"}, topics.RELATED: {b"a", b"b"}}

"""The client: what was published arrives, once where it can, again where it must."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import KafkaError, Message, Producer
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)
from needed import needed

from models.ingest.dead_letter import DeadLetter, bury
from models.ingest.record import Rejected
from schemas import topics
from schemas.outputs import RankedItem, Related, Slate, SlateItem, Trending
from schemas.rejections import Reason, Rejection
from streams import broker
from streams.client import Rillet
from streams.client.outputs import OUTPUTS, SLATES
from streams.client.read_model import ReadModel
from streams.client.reader import Reader, Reading, Record
from streams.client.repeats import Repeats
from streams.errors import BrokerMissingError, BrokerRefusedError, BrokerUnreachableError, InputError
from streams.follow import FollowedRecord
from streams.kafka_admin import ensure
from streams.partitioner import partition_of
from streams.publish import slate_record
from streams.settings import KafkaSettings, load

NOW_MS = time.time_ns() // 1_000_000
Unique = Callable[[str], str]


class Shop:
    """Writes what a worker would, for users that no other test has."""

    def __init__(self, address: str, unique: Unique) -> None:
        self.address = address
        self.user = unique("user")
        self._producer = Producer(dict(KafkaSettings(bootstrap_servers=address).producer()))
        self._n = 0

    def slates(self, *offsets: int, user: str | None = None, time_ms: int = NOW_MS) -> None:
        for offset in offsets:
            topic, key, value, own = slate_record(slate(user or self.user, offset))
            self._producer.produce(
                topic, value, key, headers=own, timestamp=time_ms + offset, on_delivery=delivered
            )
        self.flush()

    def write(self, topic: str, key: str, value: object) -> None:
        body = None if value is None else msgspec.json.encode(value)
        self._producer.produce(topic, body, key.encode())
        self.flush()

    def send(self, topic: str, value: bytes, key: bytes, headers: Any = None) -> None:
        self._producer.produce(topic, value, key, headers=headers)
        self.flush()

    def flush(self) -> None:
        assert self._producer.flush(30) == 0


def delivered(error: KafkaError | None, _: Message) -> None:
    assert error is None, error


def slate(user: str, offset: int) -> Slate:
    return Slate(
        slate_id=f"events.browse-0-{offset}",
        user_id=user,
        items=[SlateItem("shoe", 0.5, [])],
        event_id=f"e{offset}",
        event_time_ms=NOW_MS,
        processed_ms=NOW_MS,
        model_version="test",
    )


def related(item: str, *others: str) -> Related:
    return Related(item_id=item, items=[RankedItem(each, 1.0) for each in others], updated_ms=NOW_MS)


def offsets(slates: Any) -> list[int]:
    return [int(each.slate_id.rpartition("-")[2]) for each in slates]


def some(feed: Any, n: int) -> list[Any]:
    return [next(feed) for _ in range(n)]


@pytest.fixture
def shop(embedded: str, unique: Unique) -> Shop:
    """On an embedded broker of the test's own."""
    ensure(load(environ={"RILLET_BOOTSTRAP_SERVERS": embedded}))
    return Shop(embedded, unique)


@pytest.fixture
def real(kafka: broker.KafkaBroker, unique: Unique) -> Shop:
    """On the real broker that all tests share."""
    ensure(load(environ={"RILLET_BOOTSTRAP_SERVERS": kafka.bootstrap_servers}))
    return Shop(kafka.bootstrap_servers, unique)


@pytest.fixture
def secured() -> Iterator[broker.KafkaBroker]:
    """A real broker that looks at rights, and lets all do what no rule forbids."""
    rules = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "true",
    }
    try:
        with broker.kafka(properties=rules) as started:
            yield started
    except BrokerMissingError as missing:
        needed("Apache Kafka", str(missing))


def test_slates_come_as_they_were_published(shop: Shop) -> None:
    shop.slates(1, 2, 3)
    with Rillet(shop.address) as rillet:
        found = list(rillet.slates(since="beginning", follow=False))
    assert found == [slate(shop.user, offset) for offset in (1, 2, 3)]


def test_an_async_reader_gets_what_comes_after_it_began(shop: Shop) -> None:
    async def main() -> list[Slate]:
        shop.slates(1)
        found = []
        async with Rillet(shop.address) as rillet, rillet.slates(shop.user) as feed:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(feed), 1.0)  # it has begun, and a cancelled wait loses nothing
            await asyncio.to_thread(shop.slates, 2, 3)
            async for each in feed:
                found.append(each)
                if len(found) == 2:
                    break
        return found

    assert offsets(asyncio.run(main())) == [2, 3]


def test_one_users_slates_are_read_from_their_partition_alone(shop: Shop) -> None:
    others = [f"other-{n}" for n in range(40)]
    for other in others:
        shop.slates(1, user=other)
    shop.slates(1, 2)
    with Rillet(shop.address) as rillet:
        feed = rillet.slates(shop.user, since="beginning", follow=False)
        records = list(feed.records())
    assert [record.key for record in records] == [shop.user.encode()] * 2
    assert {record.partition for record in records} == {partition_of(shop.user.encode(), 4)}


def test_a_repeat_is_dropped_by_its_id(shop: Shop) -> None:
    shop.slates(1, 2, 1, 2, 3)
    with Rillet(shop.address) as rillet:
        feed = rillet.slates(shop.user, since="beginning", follow=False)
        assert offsets(feed) == [1, 2, 3]
        assert feed.n_repeats == 2
    with Rillet(shop.address, window=0) as rillet:
        assert offsets(rillet.slates(shop.user, since="beginning", follow=False)) == [1, 2, 1, 2, 3]


def test_what_is_remembered_of_repeats_is_bounded() -> None:
    repeats = Repeats(2)
    assert [repeats.is_repeat(id_) for id_ in "abab"] == [False, False, True, True]
    assert not repeats.is_repeat("c")  # forgets a
    assert not repeats.is_repeat("a")
    assert not repeats.is_repeat(None)
    assert not repeats.is_repeat(None)


def test_a_group_goes_on_behind_what_was_taken(real: Shop, unique: Unique) -> None:
    group = unique("group")
    real.slates(1, 2, 3, 4)
    with Rillet(real.address, group=group) as rillet:
        feed = rillet.slates(real.user, since="beginning")
        assert offsets(some(feed, 3)) == [1, 2, 3]  # 3 was handed out, and no next one asked for: not taken
    with Rillet(real.address, group=group) as rillet:
        assert offsets(rillet.slates(real.user, since="beginning", follow=False)) == [3, 4]
    with Rillet(real.address, group=group) as rillet:
        assert offsets(rillet.slates(real.user, since="beginning", follow=False)) == []


def test_members_of_a_group_share_the_partitions(real: Shop, unique: Unique) -> None:
    group, users = unique("group"), [unique("user") for _ in range(40)]

    async def member(found: dict[str, int]) -> None:
        async with Rillet(real.address, group=group) as rillet:
            async for each in rillet.slates():
                found[each.user_id] = offsets([each])[0]

    async def round_(first: int) -> dict[str, int]:
        newest = dict(zip(users, range(first, first + len(users)), strict=True))
        for user, offset in newest.items():
            await asyncio.to_thread(real.slates, offset, user=user)
        return newest

    async def main() -> None:
        one: dict[str, int] = {}
        two: dict[str, int] = {}
        tasks = [asyncio.create_task(member(found)) for found in (one, two)]
        sent = 0
        async with asyncio.timeout(40):
            while not (one and two):
                sent += len(await round_(sent))
            newest = await round_(sent)  # now that both have joined, all of it
            while not newest.items() <= one.items() | two.items():
                await asyncio.sleep(0.02)
        for task in tasks:
            task.cancel()
        assert not [
            end for end in await asyncio.gather(*tasks, return_exceptions=True) if isinstance(end, Exception)
        ]

    asyncio.run(main())


def test_a_group_starts_at_the_end_and_loses_nothing_before_its_first_commit(
    real: Shop, unique: Unique
) -> None:
    group = unique("group")
    real.slates(1)
    with Rillet(real.address, group=group) as rillet:
        assert list(rillet.slates(real.user, follow=False)) == []
    real.slates(2)
    with Rillet(real.address, group=group) as rillet:
        assert offsets(some(rillet.slates(real.user), 1)) == [2]


@pytest.mark.parametrize("place", ["shop", "real"])
def test_reading_begins_at_a_time(place: str, request: pytest.FixtureRequest) -> None:
    there: Shop = request.getfixturevalue(place)
    time_ms = NOW_MS + 1_000_000  # later than what other tests wrote
    there.slates(10, 20, 30, time_ms=time_ms)  # each its offset later
    moment = datetime.fromtimestamp((time_ms + 20) / 1000, UTC)
    with Rillet(there.address) as rillet:
        assert offsets(rillet.slates(there.user, since=moment, follow=False)) == [20, 30]
        assert offsets(rillet.slates(there.user, since=moment.replace(tzinfo=None), follow=False)) == [20, 30]
        later = datetime.fromtimestamp((time_ms + 31) / 1000, UTC)
        assert offsets(rillet.slates(there.user, since=later, follow=False)) == []


def test_a_read_model_holds_the_latest_and_forgets_what_was_removed(real: Shop, unique: Unique) -> None:
    kept, gone = unique("item"), unique("item")
    real.write(topics.RELATED, kept, related(kept, "a"))
    real.write(topics.RELATED, gone, related(gone, "b"))
    real.write(topics.RELATED, kept, related(kept, "a", "c"))
    real.write(topics.RELATED, gone, None)

    async def main() -> None:
        async with Rillet(real.address).latest_related() as model:
            await asyncio.wait_for(model.caught_up(), 30)
            assert model.get(kept) == related(kept, "a", "c")
            assert model.get(gone) is None
            assert gone not in model
            real.write(topics.RELATED, kept, None)
            async with asyncio.timeout(30):
                while kept in model:
                    await asyncio.sleep(0.01)

    asyncio.run(main())


def test_a_read_model_works_without_an_event_loop(shop: Shop) -> None:
    board = Trending(category=None, half_life_s=1.0, items=[], updated_ms=NOW_MS)
    shop.write(topics.TRENDING, topics.OVERALL, board)
    with Rillet(shop.address).latest_trending() as model:
        model.wait_until_caught_up(30)
        assert model.get(topics.OVERALL) == board
        assert list(model) == [topics.OVERALL]


def test_a_key_is_there_while_its_value_is_replaced() -> None:
    model: ReadModel[Any] = ReadModel(Reader(SLATES, Reading(conf={})))
    record: Record[Any] = Record(topics.SLATES, 0, 0, 0, b"u", "its slate")
    model._apply(record)
    missed = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            if model.get("u") is None:
                missed.append("u")

    asking = threading.Thread(target=ask)
    asking.start()
    for _ in range(200_000):
        model._apply(record)
    done.set()
    asking.join()
    assert missed == []


def test_a_read_model_is_bounded(shop: Shop) -> None:
    one, two, three = [str(n) for n in range(100) if partition_of(b"%d" % n, 4) == 0][:3]
    for category in (one, two, one, three):
        board = Trending(category=category, half_life_s=1.0, items=[], updated_ms=NOW_MS)
        shop.write(topics.TRENDING, category, board)
    with Rillet(shop.address).latest_trending(max_entries=2) as model:
        model.wait_until_caught_up(30)
        assert list(model) == [one, three]
        assert model.n_dropped == 1


def test_a_removed_key_is_a_record_without_value(shop: Shop) -> None:
    shop.write(topics.RELATED, "i", related("i"))
    shop.write(topics.RELATED, "i", None)
    with Rillet(shop.address) as rillet:
        assert [r.value for r in rillet.related("i", since="beginning", follow=False).records()] == [
            related("i"),
            None,
        ]
        assert list(rillet.related("i", since="beginning", follow=False)) == [related("i")]


def test_dead_letters_are_typed_and_known_by_where_they_came_from(shop: Shop) -> None:
    record = FollowedRecord(topics.BROWSE, 2, 41, NOW_MS, b"u", b"{", ())
    letter = bury(Rejected(record, Rejection(Reason.BROKEN_JSON, "at byte 1")))
    for _ in range(2):
        shop.send(letter.topic, letter.value or b"", letter.key or b"", letter.headers)
    with Rillet(shop.address) as rillet:
        (found,) = rillet.dead_letters(since="beginning", follow=False)
    assert isinstance(found, DeadLetter)
    assert (found.topic, found.partition, found.offset, found.reason) == (topics.BROWSE, 2, 41, "broken_json")


def test_what_cannot_be_read_is_counted_and_passed_over(shop: Shop) -> None:
    shop.send(topics.SLATES, b"\xff{", shop.user.encode())
    shop.send(topics.SLATES, b"[" * 100_000, shop.user.encode())
    shop.slates(1)
    with Rillet(shop.address) as rillet:
        feed = rillet.slates(shop.user, since="beginning", follow=False)
        assert offsets(feed) == [1]
        assert feed.n_unreadable == 2


def test_a_missing_topic_is_named_with_the_way_out(own_kafka: broker.KafkaBroker) -> None:
    with pytest.raises(BrokerRefusedError, match=r"recommendations\.user(.|\n)*rillet topics create"):
        next(Rillet(own_kafka.bootstrap_servers).slates())
    with (
        Rillet(own_kafka.bootstrap_servers).latest_slates() as model,
        pytest.raises(BrokerRefusedError, match="rillet topics create"),
    ):
        model.wait_until_caught_up(30)
    assert len({traces(model) for _ in range(5)}) == 1  # asking again and again takes no memory


def traces(model: ReadModel[Slate]) -> int:
    """How many calls the error of a question tells of."""
    with pytest.raises(BrokerRefusedError) as refused:
        model.get("u")
    return len(refused.traceback)


def test_an_error_ends_a_feed(embedded: str) -> None:
    with Rillet(embedded) as rillet:
        feed = rillet.slates()
        with pytest.raises(BrokerRefusedError):
            next(feed)
        ensure(load(environ={"RILLET_BOOTSTRAP_SERVERS": embedded}))
        assert feed.closed
        assert list(feed) == []  # and does not wait for ever
        assert list(rillet.slates(follow=False)) == []


def test_an_error_that_came_while_nobody_waited_is_told_to_the_next_who_does(embedded: str) -> None:
    async def main() -> None:
        async with Rillet(embedded) as rillet:
            feed = rillet.slates()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(feed), 0.001)
            with pytest.raises(BrokerRefusedError):
                await anext(feed)
            assert [each async for each in feed] == []

    asyncio.run(main())


def test_waiting_feeds_leave_the_threads_of_the_event_loop_to_others(shop: Shop) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))
        async with Rillet(shop.address) as rillet:
            feed = rillet.slates()
            waiting = asyncio.create_task(anext(feed))
            await asyncio.sleep(0)  # it waits in a thread now
            began_s = time.monotonic()
            await asyncio.to_thread(lambda: None)
            assert time.monotonic() - began_s < 0.2
            waiting.cancel()

    asyncio.run(main())


def test_a_place_to_begin_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match=r"'earliest'(.|\n)*\"beginning\""):
        Rillet("127.0.0.1:1").slates(since="earliest")  # type: ignore[arg-type]


def test_a_group_that_may_not_be_read_is_named_with_the_way_out(secured: broker.KafkaBroker) -> None:
    address = secured.bootstrap_servers
    ensure(load(environ={"RILLET_BOOTSTRAP_SERVERS": address}))
    refused = AclBinding(
        ResourceType.GROUP,
        "closed",
        ResourcePatternType.LITERAL,
        "User:*",
        "*",
        AclOperation.READ,
        AclPermissionType.DENY,
    )
    admin = AdminClient({"bootstrap.servers": address})
    admin.create_acls([refused])[refused].result()
    with (
        Rillet(address, group="closed") as rillet,
        pytest.raises(BrokerRefusedError, match="Read on the group closed"),
    ):
        next(rillet.slates())


def test_a_broker_that_is_away_is_named_with_the_way_out() -> None:
    with pytest.raises(BrokerUnreachableError, match=r"127\.0\.0\.1:1 (.|\n)*RILLET_BOOTSTRAP_SERVERS"):
        next(Rillet("127.0.0.1:1").slates())


def test_a_topic_that_is_not_in_the_catalogue_or_internal_is_refused() -> None:
    for name in ("nonsense", topics.INTERACTIONS):
        with pytest.raises(InputError, match=r"recommendations\.user"):
            Rillet("127.0.0.1:1").follow(name)


def test_every_topic_that_rillet_publishes_has_its_method() -> None:
    published = {t.name for t in topics.catalogue() if t.owner == "rillet" and not t.internal}
    assert set(OUTPUTS) == published


def test_signing_in_is_as_in_the_settings() -> None:
    kafka = KafkaSettings(security_protocol="SASL_SSL", sasl_username="u", sasl_password="p")  # type: ignore[arg-type]
    conf = Rillet("b:9093", kafka=kafka)._conf
    assert (conf["bootstrap.servers"], conf["security.protocol"], conf["sasl.password"]) == (
        "b:9093",
        "SASL_SSL",
        "p",
    )


def test_the_page_names_every_topic_and_method() -> None:
    page = (Path(__file__).parents[2] / "docs" / "subscribe.md").read_text()
    assert all(f"`{topic}`" in page for topic in OUTPUTS)
    methods = [name for name, value in vars(Rillet).items() if callable(value) and not name.startswith("_")]
    assert all(f"{name}(" in page for name in methods if name != "close")

"""Members of a group that judge apart agree on the last entry of every item."""

from collections.abc import Callable

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from topic_content import all_of

from models.ingest.record import Change
from schemas import topics
from schemas.catalog import Item
from streams.connect.catalogue import MAX_ITEMS, REFRESH_MS, Catalogue, Sending
from streams.connect.hearing import Hearing
from streams.connect.outbox import Outbox
from streams.settings import KafkaSettings

NOW_MS = 1_795_168_800_000


def entry(price: float | None, time_ms: int, item_id: str = "i1") -> Change:
    """Of a price; None is a removal."""
    return Change(0, item_id, None if price is None else Item(item_id=item_id, time_ms=time_ms, price=price))


def test_an_entry_that_did_not_change_or_is_older_is_not_sent_and_one_that_goes_back_is() -> None:
    catalogue = Catalogue()
    assert catalogue.give(entry(10.0, 1), 1)
    assert not catalogue.give(entry(10.0, 2), 2)
    assert catalogue.give(entry(12.0, 3), 3)
    assert not catalogue.give(entry(11.0, 1), 4)
    assert catalogue.give(entry(10.0, 3), 5)
    assert catalogue.give(entry(None, 0), 6)
    assert not catalogue.give(entry(10.0, 5), 7)
    assert catalogue.give(entry(10.0, 6), 7)


def test_an_unchanged_entry_goes_again_when_the_one_on_the_topic_is_old() -> None:
    catalogue = Catalogue()
    assert catalogue.give(entry(10.0, NOW_MS), 0)
    assert not catalogue.give(entry(10.0, NOW_MS + REFRESH_MS - 1), 0)
    assert catalogue.give(entry(10.0, NOW_MS + REFRESH_MS), 0)


def test_what_the_topic_holds_already_is_not_sent_after_a_restart() -> None:
    catalogue = Catalogue()
    assert catalogue.hear("i1", msgspec.json.encode(entry(10.0, 5).entry), 5, 0) is None
    assert not catalogue.give(entry(10.0, 6), 6)
    assert not catalogue.give(entry(9.0, 4), 6)
    assert catalogue.give(entry(9.0, 7), 6)


def test_a_value_that_is_no_entry_is_passed_over() -> None:
    catalogue = Catalogue()
    assert catalogue.hear("i1", b"{", 5, 0) is None
    assert catalogue.give(entry(10.0, 1), 1)


def test_no_more_items_are_remembered_than_there_is_room_for() -> None:
    catalogue = Catalogue()
    for n in range(MAX_ITEMS + 1):
        catalogue.hear(f"i{n}", None, 0, n)
    assert len(catalogue._on_topic) == MAX_ITEMS


class Member:
    """Follows a topic that is a list."""

    def __init__(self, topic: list[Sending]) -> None:
        self.topic, self.catalogue, self.at = topic, Catalogue(), 0

    def send(self, sending: Sending | None) -> None:
        """Delivered at once."""
        if sending is not None:
            self.catalogue.delivered(sending.item_id, len(self.topic))
            self.topic.append(sending)

    def hear(self) -> bool:
        """The next record; whether there was one."""
        if self.at == len(self.topic):
            return False
        said = self.topic[self.at]
        self.at += 1
        self.send(self.catalogue.hear(said.item_id, said.value, said.timestamp_ms, self.at - 1))
        return True


@given(
    st.permutations(range(1, 9)),
    st.lists(st.tuples(st.integers(0, 2), st.sampled_from([10.0, 12.0])), min_size=8, max_size=8),
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4)), max_size=30),
)
def test_whoever_is_slow_the_topic_ends_with_the_latest(
    times: list[int], gives: list[tuple[int, float]], hears: list[tuple[int, int]]
) -> None:
    topic: list[Sending] = []
    members = [Member(topic) for _ in range(3)]
    for time_ms, (who, price) in zip(times, gives, strict=True):
        members[who].send(members[who].catalogue.give(entry(price, time_ms), time_ms))
        for listener, n in hears[:4]:
            for _ in range(n):
                members[listener].hear()
        hears = hears[4:]
    for _ in range(1_000):
        if not any(member.hear() for member in members):
            break
    assert all(member.at == len(topic) for member in members)
    last = msgspec.json.decode(topic[-1].value or b"", type=Item)
    assert last.price == gives[times.index(8)][1]


def test_on_a_broker_the_member_that_knows_better_sends_its_own_again(
    embedded: str, wait_until: Callable[..., None]
) -> None:
    kafka = KafkaSettings(bootstrap_servers=embedded)

    def member() -> tuple[Outbox, Hearing]:
        outbox = Outbox(kafka.producer())
        hearing = Hearing(kafka.client_conf(), outbox)
        hearing.begin(lambda: False)
        return outbox, hearing

    def give(outbox: Outbox, price: float, time_ms: int) -> None:
        sending = outbox.catalogue.give(entry(price, time_ms), NOW_MS)
        if sending is not None:
            outbox.entry(sending)
        assert outbox.wait(20.0)

    def prices() -> list[float | None]:
        return [
            msgspec.json.decode(each.value or b"", type=Item).price for each in all_of(embedded, topics.ITEMS)
        ]

    give(Outbox(kafka.producer()), 10.0, NOW_MS)
    (fast, its_hearing), (slow, other_hearing) = member(), member()
    give(fast, 10.0, NOW_MS + 6)
    give(slow, 12.0, NOW_MS + 5)
    assert prices() == [10.0, 12.0]
    wait_until(its_hearing.catch_up)
    assert fast.wait(20.0)
    assert prices() == [10.0, 12.0, 10.0]
    give(slow, 12.0, NOW_MS + 4)
    wait_until(lambda: (other_hearing.catch_up(), slow.catalogue._on_topic["i1"][0] == 2)[1])
    give(slow, 10.0, NOW_MS + 7)
    assert prices() == [10.0, 12.0, 10.0]
    its_hearing.close()
    other_hearing.close()

import asyncio
import random

import pytest
from chaos import read_all
from confluent_kafka import KafkaException

from streams.engine.outbox import Outbox


def test_a_parcel_is_delivered_when_all_its_records_are_on_the_broker(kafka, make_topic):
    slates, changelog = make_topic("slates"), make_topic("changelog")

    async def send() -> dict[tuple[str, int], int]:
        outbox = Outbox({"bootstrap.servers": kafka.bootstrap_servers})
        parcel = outbox.parcel()
        for i in range(1_000):
            parcel.add(slates, b"u%d" % i, b"slate %d" % i, [("id", b"%d" % i)])
        parcel.add_changelog(changelog, 3, [(b"u%d" % i, b"state %d" % i) for i in range(500)])
        parcel.seal()
        await asyncio.wait_for(parcel.delivered, 30)
        outbox.close()
        return parcel.last_offset

    last_offset = asyncio.run(send())
    assert last_offset == {(changelog, 3): 499}
    assert len(read_all(kafka.bootstrap_servers, slates)) == 1_000
    states = read_all(kafka.bootstrap_servers, changelog)
    assert [m.value() for m in states] == [b"state %d" % i for i in range(500)]
    assert {m.partition() for m in states} == {3}


def test_an_empty_parcel_is_delivered_at_once(embedded):
    async def send() -> None:
        outbox = Outbox({"bootstrap.servers": embedded})
        parcel = outbox.parcel()
        parcel.seal()
        await asyncio.wait_for(parcel.delivered, 5)
        outbox.close()

    asyncio.run(send())


def test_a_record_that_the_broker_refuses_fails_the_parcel(kafka, make_topic):
    topic = make_topic("small", max_message_bytes="1000")

    async def send() -> None:
        outbox = Outbox({"bootstrap.servers": kafka.bootstrap_servers})
        parcel = outbox.parcel()
        parcel.add(topic, b"u1", random.Random(0).randbytes(5_000))
        parcel.seal()
        try:
            await asyncio.wait_for(parcel.delivered, 30)
        finally:
            outbox.close(1.0)

    with pytest.raises(KafkaException, match="MSG_SIZE_TOO_LARGE"):
        asyncio.run(send())

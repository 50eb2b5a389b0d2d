"""An absent broker is told of now and then, whichever client complains; all else is told."""

import logging

import pytest

from streams.broker_log import CLIENTS, BrokerLog

REFUSED = "Connect to ipv4#127.0.0.1:9092 failed: Connection refused"


def record(name: str, message: str) -> logging.LogRecord:
    return logging.LogRecord(name, logging.ERROR, "", 0, message, None, None)


@pytest.mark.parametrize("name", [*CLIENTS, "streams.api.post", "streams.api.read_model"])
def test_an_absent_broker_is_told_of_once_for_a_while(name: str) -> None:
    shown = BrokerLog("127.0.0.1:9092")
    records = [record(name, REFUSED) for _ in range(20)]
    assert [shown.filter(each) for each in records] == [True] + [False] * 19
    assert records[0].getMessage().startswith("broker_away address=127.0.0.1:9092")


def test_what_is_not_about_an_absent_broker_is_told() -> None:
    shown = BrokerLog("127.0.0.1:9092")
    assert all(shown.filter(record(CLIENTS[0], "Group authorization failed")) for _ in range(3))
    assert all(shown.filter(record("streams.api.gate", REFUSED)) for _ in range(3))

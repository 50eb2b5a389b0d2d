"""The inventory as ``inventory.assets`` holds it: what was seen before, and what is seen now."""

from collections.abc import Callable, Iterator
from typing import Final

import msgspec
from confluent_kafka import KafkaError, Message, Producer

from models.inventory.history import forgotten, gone
from schemas import topics
from schemas.inventory import Asset
from streams.errors import BrokerRefusedError
from streams.interest_states import Changelog
from streams.settings import Settings

TIMEOUT_S: Final = 30.0
_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(Asset)


def before(settings: Settings) -> dict[str, Asset]:
    """The newest record of each asset; what is no such thing, of another release or none of ours, is passed over.

    Raises:
        InputError: the topic is missing.
    """
    found: dict[str, Asset] = {}
    with Changelog(settings, topics.ASSETS) as records:
        for record in records.read():
            name = record.key.decode(errors="replace")
            known = _read(record.value)
            if known is None or known.asset != name:
                found.pop(name, None)
            else:
                found[name] = known
    return found


def publish(
    settings: Settings,
    now: list[Asset],
    known: dict[str, Asset],
    now_ms: int,
    forget_after_s: float,
    looked_at: Callable[[str], bool],
) -> int:
    """Write what is there, what is gone, and a null value for what has been gone for long; how many records that is.

    Raises:
        BrokerRefusedError: the broker did not take all of them.
    """
    producer = Producer({**settings.kafka.producer(), "log_level": 0})
    failures: list[str] = []

    def told(error: KafkaError | None, _: Message) -> None:
        failures.extend([error.str()] if error else [])

    n = 0
    for key, value in _records(now, known, now_ms, forget_after_s, looked_at):
        producer.produce(topics.ASSETS, value, key, on_delivery=told)
        producer.poll(0)
        n += 1
    if producer.flush(TIMEOUT_S) or failures:
        raise BrokerRefusedError(
            f"The broker did not take the inventory: {failures[0] if failures else 'no answer'}.",
            fix=f"Grant the user Write on {topics.ASSETS}; `rillet doctor` shows what else is amiss.",
        )
    return n


def _records(
    now: list[Asset],
    known: dict[str, Asset],
    now_ms: int,
    forget_after_s: float,
    looked_at: Callable[[str], bool],
) -> Iterator[tuple[bytes, bytes | None]]:
    missing = gone(now, known, looked_at)
    out = forgotten(missing, now_ms, forget_after_s)
    for each in now:
        yield each.asset.encode(), _encode(each)
    for each in missing:
        yield each.asset.encode(), None if each.asset in out else _encode(each)


def _read(value: bytes | None) -> Asset | None:
    try:
        return _decoder.decode(value) if value else None
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None

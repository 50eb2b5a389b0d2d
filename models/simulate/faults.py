"""Data faults on request: spoils some of the simulated shop's records, each in the one way drawn for it."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from models.simulate.settings import FAULTS, FaultSettings

NONE: Final = 0
DUPLICATE: Final = 1 + FAULTS.index("duplicate")


class Spoilt(NamedTuple):
    """A record after its fault."""

    key: bytes
    value: bytes


class Faults:
    """Draws faults and applies them; without rates it leaves every record as it is."""

    def __init__(self, settings: FaultSettings, user_keys: list[bytes], rng: Generator) -> None:
        self._settings, self._user_keys = settings, user_keys
        self._which, self._how = rng.spawn(2)
        self._upto = np.cumsum(list(settings.rates().values()))
        self._spoil: dict[str, Callable[[bytes, bytes], Spoilt]] = {
            "missing_attribute": self._missing_attribute,
            "missing_field": self._missing_field,
            "broken_json": self._broken_json,
            "wrong_type": self._wrong_type,
            "future": self._future,
            "late": self._late,
            "out_of_order": self._out_of_order,
            "unknown_field": self._unknown_field,
            "wrong_key": self._wrong_key,
        }

    def draw(self, n: int) -> NDArray[np.uint8]:
        """(n,) code of the fault of each record, 0 for none; see ``FAULTS``."""
        codes = np.searchsorted(self._upto, self._which.random(n), side="right") + 1
        return np.where(codes > len(FAULTS), NONE, codes).astype(np.uint8)

    def apply(self, code: int, key: bytes, value: bytes) -> list[Spoilt]:
        """What is sent instead of one record; a duplicate is sent twice."""
        if code == NONE:
            return [Spoilt(key, value)]
        if code == DUPLICATE:
            return [Spoilt(key, value), Spoilt(key, value)]
        return [self._spoil[FAULTS[code - 1]](key, value)]

    def _missing_attribute(self, key: bytes, value: bytes) -> Spoilt:
        event = _without(msgspec.json.decode(value), ("category", "brand", "price", "platform"))
        if "lines" in event:
            event["lines"] = [_without(line, ("category", "brand", "price")) for line in event["lines"]]
        return Spoilt(key, msgspec.json.encode(event))

    def _missing_field(self, key: bytes, value: bytes) -> Spoilt:
        return Spoilt(key, msgspec.json.encode(_without(msgspec.json.decode(value), ("time_ms",))))

    def _broken_json(self, key: bytes, value: bytes) -> Spoilt:
        return Spoilt(key, value[: int(self._how.integers(1, len(value)))])

    def _wrong_type(self, key: bytes, value: bytes) -> Spoilt:
        event = msgspec.json.decode(value)
        return Spoilt(key, msgspec.json.encode(event | {"time_ms": str(event["time_ms"])}))

    def _future(self, key: bytes, value: bytes) -> Spoilt:
        return Spoilt(key, _moved(value, self._settings.future_s))

    def _late(self, key: bytes, value: bytes) -> Spoilt:
        return Spoilt(key, _moved(value, -self._settings.late_s))

    def _out_of_order(self, key: bytes, value: bytes) -> Spoilt:
        return Spoilt(key, _moved(value, -self._settings.out_of_order_s * float(self._how.random())))

    def _unknown_field(self, key: bytes, value: bytes) -> Spoilt:
        return Spoilt(key, msgspec.json.encode(msgspec.json.decode(value) | {"campaign": "spring"}))

    def _wrong_key(self, key: bytes, value: bytes) -> Spoilt:
        others = len(self._user_keys)
        other = self._user_keys[int(self._how.integers(others))]
        return Spoilt(other if other != key else b"x" + key, value)


def _without(fields: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in names}


def _moved(value: bytes, by_s: float) -> bytes:
    event = msgspec.json.decode(value)
    return msgspec.json.encode(event | {"time_ms": event["time_ms"] + round(by_s * 1000)})

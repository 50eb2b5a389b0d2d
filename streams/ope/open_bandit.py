"""Reads logs in the form of the Open Bandit Dataset (Saito, Aihara, Matsutani and Narita, NeurIPS 2021).

A CSV with ``timestamp, item_id, position, click, propensity_score``, columns ``user_feature_*`` of the context,
and ``user-item_affinity_N``, one an item; where there is one, a CSV of the items with columns ``item_feature_*``.
"""

from array import array
from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Final

import numpy as np

from models.evaluate.trials import F64, I64
from models.kinds import Kind
from models.ope.rounds import Arms, BanditLog, Rounds
from streams.errors import InputError
from streams.log.clock import clock
from streams.log.delimited import read_delimited
from streams.log.mapping import FilePart
from streams.log.source import OnBytes, opened
from streams.log.table import Row, Table, Unreadable
from streams.log.tally import Tally
from streams.ope.vocabulary import Vocabulary

NEEDED: Final = ("timestamp", "item_id", "position", "click", "propensity_score")
CONTEXT: Final = "user_feature_"
AFFINITY: Final = "user-item_affinity_"
ITEM_FEATURE: Final = "item_feature_"
MAX_UNREADABLE: Final = 0.01
"""Share of the rows."""


def read_open_bandit(
    path: str, items: str | None, rewards: Mapping[Kind, float], on_bytes: OnBytes | None = None
) -> BanditLog:
    """The rounds of a log; arms are the items of ``items``, or those that the log shows.

    Raises:
        InputError: a file is not there or of another form, or rewards other than for clicks are asked for.
    """
    if set(rewards) != {Kind.CLICK}:
        raise InputError(
            f"{path} knows clicks alone.", fix="Give --reward click=1, or none, which means the same."
        )
    with opened(path, on_bytes) as source:
        table = read_delimited(source, FilePart(format="csv"))
        reading = _Reading(table, path)
        for row in rows_of(table, path):
            reading.take(row)
    return reading.log(_features(items) if items else {}, rewards[Kind.CLICK])


def rows_of(table: Table, path: str) -> Iterator[Row]:
    """The readable rows; too many others are an error."""
    tally = Tally(path, MAX_UNREADABLE)
    for row in table.rows:
        if isinstance(row, Row):
            tally.n_rows += 1
            yield row
        elif isinstance(row, Unreadable):
            tally.n_rows += 1
            tally.unreadable(row)
        else:
            tally.cut_off(row.line)
    tally.end()


class _Reading:
    """Columns as they grow."""

    def __init__(self, table: Table, path: str) -> None:
        self._path = path
        self._at = _places(table, path)
        self._context = _columns(table, CONTEXT)
        self._affinity = _columns(table, AFFINITY)
        self._to_ms = clock("iso")
        self._items, self._positions, self._values = Vocabulary(), Vocabulary(), Vocabulary()
        self._arm, self._position, self._time_ms, self._codes = (array("q") for _ in range(4))
        self._propensity, self._click, self._affinities = (array("d") for _ in range(3))

    def take(self, row: Row) -> None:
        values = row.values
        time, item, position, click, propensity = (values[self._at[name]] for name in NEEDED)
        try:
            self._time_ms.append(self._to_ms(time))
            self._propensity.append(_chance(propensity))
            self._click.append(_number(click))
            self._affinities.extend(_number(values[at]) for at in self._affinity.values())
        except ValueError as error:
            raise InputError(
                f"{self._path} has a row that makes no sense, line {row.line}: {error}.",
                fix="Mend or remove the row.",
            ) from error
        self._arm.append(self._items.code(item))
        self._position.append(self._positions.code(position))
        self._codes.append(self._values.code(f"position={position}"))
        self._codes.extend(self._values.code(f"{name}={values[at]}") for name, at in self._context.items())

    def log(self, features: Mapping[str, dict[str, float]], reward: float) -> BanditLog:
        n = len(self._arm)
        if not n:
            raise InputError(f"{self._path} holds no round.", fix="Give a log with rows.")
        for item in features:
            self._items.code(item)
        ids = self._items.names
        gains = np.array(self._click)[:, None] * reward
        time_ms = np.array(self._time_ms)
        return BanditLog(
            Rounds(
                arm=np.array(self._arm),
                propensity=np.array(self._propensity),
                position=np.array(self._position),
                time_ms=time_ms,
                unit=np.arange(n),
                gains=gains,
                gained_ms=time_ms[:, None].astype(np.float64),
                context=np.array(self._codes).reshape(n, -1),
                affinity=self._affinity_of(ids, n),
            ),
            Arms(tuple(ids), tuple({f"item={each}": 1.0} | features.get(each, {}) for each in ids)),
            tuple(self._positions.names),
            tuple(self._values.names),
        )

    def _affinity_of(self, ids: list[str], n: int) -> F64:
        """(n, A), the columns in the order of the arms."""
        of = {name.removeprefix(AFFINITY): k for k, name in enumerate(self._affinity)}
        if any(each not in of for each in ids):
            return np.zeros((n, 0))
        order: I64 = np.array([of[each] for each in ids])
        return np.array(self._affinities).reshape(n, -1)[:, order]


def _features(path: str) -> dict[str, dict[str, float]]:
    """By item: a number stays one, a word becomes a feature of its own."""
    with opened(path) as source:
        table = read_delimited(source, FilePart(format="csv"))
        if "item_id" not in table.columns:
            raise InputError(f"{path} has no column 'item_id'.", fix="Give the item context of this log.")
        item, columns = table.columns.index("item_id"), _columns(table, ITEM_FEATURE)
        return {
            row.values[item]: dict(_feature(name, row.values[at]) for name, at in columns.items())
            for row in rows_of(table, path)
        }


def _feature(name: str, text: str) -> tuple[str, float]:
    try:
        return name, float(text)
    except ValueError:
        return f"{name}={text}", 1.0


def _places(table: Table, path: str) -> dict[str, int]:
    missing = [name for name in NEEDED if name not in table.columns]
    if missing:
        raise InputError(
            f"{path} has no column {missing[0]!r}, which a log in the form of Open Bandit Data has.",
            fix="Give such a CSV, or slates as JSON lines with --events; docs/off-policy.md shows both.",
        )
    return {name: table.columns.index(name) for name in NEEDED}


def _columns(table: Table, prefix: str) -> dict[str, int]:
    return {name: at for at, name in enumerate(table.columns) if name.startswith(prefix)}


def _number(text: str) -> float:
    value = float(text)
    if not isfinite(value):
        raise ValueError(f"{text} is no number")
    return value


def _chance(text: str) -> float:
    value = float(text)
    if not 0.0 < value <= 1.0:
        raise ValueError(f"a propensity of {text} is no probability above 0")
    return value

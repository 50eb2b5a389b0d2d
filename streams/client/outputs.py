"""The topics that can be followed: how a value is read, and by what a repeated record is known.

A slate carries its id in a header, a dead letter the coordinates of the refused record; a report has its id in the
value. Leaderboards and related items are replaced by key and have none. The shop's own topics are read as plain JSON.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import msgspec

from models.ingest.dead_letter import DeadLetter, exhume
from schemas import headers, topics
from schemas.audit import AuditEntry
from schemas.checks import Alert, CheckReport
from schemas.inventory import Asset
from schemas.metrics import ModelReport
from schemas.outputs import Related, Slate, Trending
from schemas.quality import QualityReport
from schemas.rejections import Rejection
from schemas.snapshots import Announced, Promoted
from schemas.value import ValueReport
from streams.errors import InputError
from streams.follow import FollowedRecord

T = TypeVar("T")


class UnreadableError(ValueError):
    """A value is not what its topic holds."""


@dataclass(frozen=True, slots=True)
class Output(Generic[T]):
    """One topic. ``identify`` answers with None where records have no id of their own."""

    topic: str
    decode: Callable[[FollowedRecord], T]
    identify: Callable[[FollowedRecord, T | None], object] = lambda _record, _value: None


def _json(type_: type[T]) -> Callable[[FollowedRecord], T]:
    decoder = msgspec.json.Decoder(type_)

    def decode(record: FollowedRecord) -> T:
        try:
            return decoder.decode(record.value or b"")
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise UnreadableError(str(error)) from error

    return decode


def _letter(record: FollowedRecord) -> DeadLetter:
    letter = exhume(record)
    if isinstance(letter, Rejection):
        raise UnreadableError(letter.detail)
    return letter


def _slate_id(record: FollowedRecord, _: Slate | None) -> bytes | None:
    return next((value for name, value in record.headers if name == headers.SLATE_ID), None)


def _letter_id(_: FollowedRecord, letter: DeadLetter | None) -> object:
    return letter and (letter.topic, letter.partition, letter.offset)


def _quality_id(_: FollowedRecord, report: QualityReport | None) -> object:
    return report and report.report_id


def _model_id(_: FollowedRecord, report: ModelReport | None) -> object:
    return report and (report.model, report.model_version, report.window_start_ms, report.worker)


def _value_id(_: FollowedRecord, report: ValueReport | None) -> object:
    return report and (report.of, report.window_start_ms, report.worker)


def _check_id(_: FollowedRecord, report: CheckReport | None) -> object:
    return report and (report.source, report.window_start_ms)


def _alert_id(_: FollowedRecord, alert: Alert | None) -> object:
    return alert and alert.alert_id


SLATES: Final = Output(topics.SLATES, _json(Slate), _slate_id)
TRENDING: Final = Output(topics.TRENDING, _json(Trending))
RELATED: Final = Output(topics.RELATED, _json(Related))
QUALITY: Final = Output(topics.QUALITY, _json(QualityReport), _quality_id)
CHECKS: Final = Output(topics.CHECKS, _json(CheckReport), _check_id)
ALERTS: Final = Output(topics.ALERTS, _json(Alert), _alert_id)
MODEL: Final = Output(topics.MODEL, _json(ModelReport), _model_id)
VALUE: Final = Output(topics.VALUE, _json(ValueReport), _value_id)
ASSETS: Final = Output(topics.ASSETS, _json(Asset))
AUDIT: Final = Output(topics.AUDIT, _json(AuditEntry))
VERSIONS: Final[Output[Announced | Promoted]] = Output(topics.VERSIONS, _json(Announced | Promoted))  # type: ignore[arg-type]
DEAD_LETTERS: Final = Output(topics.DEAD_LETTER, _letter, _letter_id)

OUTPUTS: Final[dict[str, Output[Any]]] = {
    output.topic: output
    for output in (
        SLATES,
        TRENDING,
        RELATED,
        QUALITY,
        CHECKS,
        ALERTS,
        MODEL,
        VALUE,
        ASSETS,
        AUDIT,
        VERSIONS,
        DEAD_LETTERS,
    )
}


def output(name: str) -> Output[Any]:
    """Any topic of the catalogue by name; those that shops write to as plain JSON, internal ones refused."""
    known = [topic.name for topic in topics.catalogue() if not topic.internal]
    if name not in known:
        raise InputError(f"There is no topic {name!r} to follow.", fix=f"Known are: {', '.join(known)}.")
    return OUTPUTS.get(name) or Output(name, _json(object))

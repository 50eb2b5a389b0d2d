"""Checks of what the workers do: how far they are, whether they move, and what they refused."""

import time
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Final, NamedTuple

from confluent_kafka import Consumer, TopicPartition

from schemas import topics
from schemas.rejections import Rejection
from streams.dead_letter import DeadLetters, Filter
from streams.doctor.finding import TIMEOUT_S, Finding, Patient, fail, ok, warn
from streams.patience import patiently

LATE_S: Final = 3600
MAX_COUNTED: Final = 10_000
BEHIND: Final = 10_000
"""Events behind in one partition that are worth a word although the commits move."""


class Progress(NamedTuple):
    """How far the group is in one partition; ``committed`` is None where it never was."""

    topic: str
    partition: int
    committed: int | None
    low: int
    end: int

    @property
    def lag(self) -> int:
        """Records not yet processed."""
        return self.end - max(self.low, self.committed or 0)


def group(patient: Patient) -> Iterator[Finding]:
    """Lag by partition, and commits that stand still although there is work."""
    consumer = patient.consumer(patient.settings.worker.app_id)
    try:
        before = _progress(consumer, patient)
        waited = any(each.lag for each in before)
        if waited:
            time.sleep(patient.wait_s)
        after = _progress(consumer, patient) if waited else before
    finally:
        consumer.close()
    name = patient.settings.worker.app_id
    if before and all(each.committed is None for each in after):
        yield _never(name, sum(each.lag for each in after))
        return
    stuck = [(b, a) for b, a in zip(before, after, strict=True) if b.lag and a.committed == b.committed]
    yield from (_stuck(b, a, patient) for b, a in stuck)
    far = [each for each in after if each.lag >= BEHIND and each not in {a for _, a in stuck}]
    for each in far:
        yield warn(
            "lag",
            f"{each.topic}/{each.partition}: {each.lag} events behind, and moving",
            "Wait, or start more workers, up to one a partition.",
        )
    if not stuck and not far:
        yield ok("lag", f"group {name}: {sum(each.lag for each in after)} events behind")


def _never(name: str, waiting: int) -> Finding:
    return warn(
        "lag",
        f"group {name} has never committed, {waiting} events wait",
        "Start `rillet worker`; under another name, set worker.app_id (RILLET_APP_ID) as its workers have it.",
    )


def _stuck(before: Progress, after: Progress, patient: Patient) -> Finding:
    grown = f", {after.end - before.end} more came" if after.end > before.end else ""
    where = f"{after.topic}/{after.partition}"
    committed = "nothing" if after.committed is None else f"offset {after.committed}"
    return fail(
        "commits",
        f"{where}: {after.lag} events behind, committed is {committed}, unmoved for {patient.wait_s:g} s{grown}",
        "See whether a worker runs and has this partition (/readyz, its log); restart it: it goes on from its last "
        "commit.",
    )


def _progress(consumer: Consumer, patient: Patient) -> list[Progress]:
    asked = [TopicPartition(topic, each) for topic in topics.BEHAVIOUR for each in patient.partitions(topic)]
    if not asked:
        return []
    found = []
    for each in patiently(lambda: consumer.committed(asked, timeout=TIMEOUT_S)):
        low, high = patient.edges(consumer, each.topic, each.partition)
        committed = each.offset if each.offset >= 0 else None
        found.append(Progress(each.topic, each.partition, committed, low, high))
    return found


def dead_letters(patient: Patient) -> Iterator[Finding]:
    """What was refused of late, by reason."""
    since_ms = time.time_ns() // 1_000_000 - LATE_S * 1000
    with DeadLetters(patient.settings.kafka) as letters:
        reasons = Counter(
            "unknown" if isinstance(each.letter, Rejection) else each.letter.reason
            for each in islice(letters.select(Filter(since_ms=since_ms)), MAX_COUNTED)
        )
    if not reasons:
        yield ok("dead letters", "none in the last hour")
        return
    total = f"{reasons.total()}{' or more' if reasons.total() == MAX_COUNTED else ''}"
    told = ", ".join(f"{reason} {n}" for reason, n in reasons.most_common())
    yield warn(
        "dead letters",
        f"{total} in the last hour: {told}",
        "`rillet dead-letter list --since 1h` shows them; once mended, `rillet dead-letter replay`.",
    )

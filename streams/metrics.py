"""Every Prometheus metric of the worker, declared in one place. Labels have few values: never a user, never an item."""

import os
import shutil
import time
from collections import Counter as Tally
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from faust.types import TP
from prometheus_client import Counter, Gauge, Histogram

from models.absorb import Absorbed
from models.interest.fold import Outcome
from streams.histogram import ArrayHistogram

LATENCY_BUCKETS: Final = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.015,
    0.025,
    0.05,
    0.06,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
)

RECORDS = Counter("rillet_records_total", "Records taken from source topics.", ["topic"])
ACCEPTED = Counter("rillet_accepted_total", "Events that passed every check.", ["topic"])
REJECTED = Counter("rillet_rejected_total", "Records sent to the dead letters.", ["topic", "reason"])
DUPLICATES = Counter("rillet_duplicates_total", "Events whose id had been seen before.", ["topic"])
REPLAYED = Counter("rillet_replayed_total", "Events redelivered after a restart or rebalance.", ["topic"])
UNKNOWN_FIELDS = Counter(
    "rillet_unknown_fields_total", "Fields dropped because the schema lacks them.", ["topic"]
)
CLEANED = Counter(
    "rillet_cleaned_total",
    "Events and entries of the catalogue that a step of cleaning changed, or kept from teaching others.",
    ["topic", "step"],
)
SANCTIONS = Gauge("rillet_quality_actions", "Actions in force because a check fails.", ["source", "kind"])
SLATES = Counter("rillet_slates_total", "Slates published.", ["kind"])
BATCH_RECORDS = Histogram(
    "rillet_batch_records", "Records in one micro-batch.", buckets=(1, 2, 5, 10, 25, 50, 100, 250, 500, 1000)
)
STAGE_SECONDS = Counter("rillet_stage_seconds_total", "Time spent by stage of the path.", ["stage"])
LATENCY = ArrayHistogram(
    "rillet_slate_latency_seconds",
    "From the record's timestamp to its slate on the broker.",
    buckets=LATENCY_BUCKETS,
)
EVENT_TIME = Gauge("rillet_event_timestamp_seconds", "Event time of the event processed last.", ["topic"])
LAG = Gauge("rillet_lag_records", "Records behind the end of the partition.", ["topic", "partition"])
COMMITTED = Gauge("rillet_committed_offset", "Committed offset.", ["topic", "partition"])
GUARDED = Counter("rillet_offset_guard_total", "Times the offset guard sought a partition back.", ["topic"])
LOST = Counter(
    "rillet_lost_records_total", "Records that retention deleted before they were read.", ["topic"]
)
CONNECT_RECORDS = Counter(
    "rillet_connect_records_total",
    "Records of a connected topic, by outcome: carried, left_out, refused.",
    ["topic", "outcome"],
)
CONNECT_SENT = Counter(
    "rillet_connect_sent_total", "Records made of a connected topic, delivered.", ["topic"]
)
CONNECT_LAG = Gauge("rillet_connect_lag_records", "Records of a connected topic not yet carried.", ["topic"])
OUTBOX = Gauge("rillet_outbox_records", "Records not yet on the broker.")
READY = Gauge("rillet_ready", "1 when partitions are assigned, tables recovered and knowledge caught up.")
RECOVERING = Gauge("rillet_recovering", "1 while tables are brought up to their changelogs.")
UNACKNOWLEDGED = Gauge(
    "rillet_unacknowledged_fetches", "Fetches taken whose effects are not all on the broker."
)
TABLE_BYTES = Gauge("rillet_table_bytes", "Files of a table on disk, of the partitions held.", ["table"])
DISK_FREE = Gauge("rillet_state_disk_free_bytes", "Room left where the state lies.")
DISK_SIZE = Gauge("rillet_state_disk_size_bytes", "Size of the disk where the state lies.")
MEMORY_LIMIT = Gauge(
    "rillet_memory_limit_bytes",
    "Memory that the process may use: its control group's limit, else the machine's memory.",
)
ITEMS = Gauge("rillet_items", "Items known.")
SOURCE_BYTES = Gauge("rillet_source_bytes", "Memory held by a retrieval source.", ["source"])
STATE_BYTES = Histogram(
    "rillet_state_bytes", "Size of one user's state.", buckets=(256, 512, 1024, 2048, 4096, 8192, 16384)
)
QUALITY = Gauge(
    "rillet_quality_ratio",
    "Latest closed window: measurement by dimension and field.",
    ["topic", "dimension", "field"],
)
CHECK_STATUS = Gauge(
    "rillet_quality_check_status",
    "Latest judged window over all partitions: 0 pass, 1 warn, 2 fail.",
    ["source", "check", "field"],
)
MODEL_LOG_LOSS = Gauge(
    "rillet_model_log_loss_nats", "Log loss of the lists that were judged, before learning.", ["model"]
)
MODEL_AUC = Gauge("rillet_model_auc_ratio", "AUC within the lists that were judged.", ["model"])
MODEL_KEPT_HIT_RATE = Gauge(
    "rillet_model_kept_hit_rate_ratio", "Hit rate at k within the lists that were judged.", ["model", "k"]
)
MODEL_KEPT_NDCG = Gauge(
    "rillet_model_kept_ndcg_ratio", "NDCG at k within the lists that were judged.", ["model", "k"]
)
MODEL_HIT_RATE = Gauge(
    "rillet_model_hit_rate_ratio", "Hit rate at k of the slates as shown; of what serves.", ["model", "k"]
)
MODEL_NDCG = Gauge("rillet_model_ndcg_ratio", "NDCG at k of the slates as shown.", ["model", "k"])
MODEL_MRR = Gauge("rillet_model_mrr_ratio", "Reciprocal rank at k in the slates as shown.", ["model", "k"])
MODEL_CALIBRATION_ERROR = Gauge(
    "rillet_model_calibration_error_ratio",
    "Expected distance of the chance given to the best candidate from how often it was right.",
    ["model"],
)
MODEL_CALIBRATION = Gauge(
    "rillet_model_calibration_ratio",
    "Chance given to best candidates over how often they were right.",
    ["model"],
)
MODEL_CLICK_RATE = Gauge("rillet_model_click_rate_ratio", "Clicks by seen slate.", ["model"])
MODEL_COVERAGE = Gauge("rillet_model_coverage_ratio", "Share of known items offered lately.", ["model"])
MODEL_GINI = Gauge(
    "rillet_model_gini_ratio", "Inequality of how often items were offered lately: 0 all alike.", ["model"]
)
MODEL_DIVERSITY = Gauge(
    "rillet_model_diversity_ratio", "Share of pairs in a slate that are of different category.", ["model"]
)
MODEL_NOVELTY = Gauge(
    "rillet_model_novelty_bits", "Mean of -log2 of the offered items' share of all interactions.", ["model"]
)
VALUE = Gauge(
    "rillet_value_ndcg",
    "NDCG that a source of data, or a signal, adds to the ranking, by Shapley's shares, in the latest window.",
    ["of", "player"],
)
LEFT_OUT = Gauge(
    "rillet_value_left_out_ndcg",
    "NDCG that the ranking loses where one source of data or signal alone is left out, in the latest window.",
    ["of", "player"],
)
MODEL_HAPPENINGS = Counter(
    "rillet_model_happenings_total", "Drifts, promotions, resets and rollbacks.", ["kind", "model"]
)
MODEL_FOREIGN = Gauge(
    "rillet_model_foreign_records",
    "Records of knowledge.parameters left out, being of other features, sources or scorers, or broken.",
)
OUTCOMES = Counter(
    "rillet_outcomes_total",
    "What came of slates, by kind of interaction; impressions are slates seen.",
    ["kind"],
)
EMBEDDING = Gauge(
    "rillet_embedding_info", "1 for the version of the embedding model that serves.", ["version"]
)
EMBEDDING_REFUSED = Gauge(
    "rillet_embedding_refused",
    "1 while the promoted version is broken, missing or of another model, and the one before serves.",
)
BUILD = Gauge("rillet_build_info", "Constant 1.", ["version", "model_version"])


class Laps:
    """Adds the time since the last lap to the stage's counter."""

    def __init__(self) -> None:
        self._last = time.perf_counter()

    def __call__(self, stage: str) -> None:
        """``stage`` ends now."""
        now = time.perf_counter()
        STAGE_SECONDS.labels(stage).inc(now - self._last)
        self._last = now


def stage_seconds() -> dict[str, float]:
    """By stage, since the process began."""
    return {
        sample.labels["stage"]: sample.value
        for metric in STAGE_SECONDS.collect()
        for sample in metric.samples
        if sample.name.endswith("_total")
    }


def count(absorbed: Absorbed) -> None:
    """Count one micro-batch."""
    start = n_records = 0
    for batch in absorbed.quality:
        topic, ingested, marks = batch.topic, batch.ingested, batch.marks
        n_accepted, n_rejected = len(ingested.accepted), len(ingested.rejected)
        outcomes = absorbed.outcomes[start : start + n_accepted]
        start += n_accepted
        n_records += n_accepted + n_rejected
        RECORDS.labels(topic).inc(n_accepted + n_rejected)
        if n_accepted:
            ACCEPTED.labels(topic).inc(n_accepted)
            EVENT_TIME.labels(topic).set(ingested.accepted[-1].event.time_ms / 1000.0)
        for reason, n in Tally(rejected.rejection.reason for rejected in ingested.rejected).items():
            REJECTED.labels(topic, reason).inc(n)
        for outcome, metric in ((Outcome.DUPLICATE, DUPLICATES), (Outcome.REPLAYED, REPLAYED)):
            if outcome in outcomes:
                metric.labels(topic).inc(outcomes.count(outcome))
        count_cleaned(topic, marks.counts() if marks else {})
        if ingested.unknown_fields:
            UNKNOWN_FIELDS.labels(topic).inc(sum(ingested.unknown_fields.values()))
    BATCH_RECORDS.observe(n_records)
    for states in absorbed.states.values():
        STATE_BYTES.observe(len(states[-1][1]))


def count_cleaned(topic: str, counts: Mapping[str, int]) -> None:
    """Count what the steps of cleaning changed."""
    for step, n in counts.items():
        CLEANED.labels(topic, step).inc(n)


def watch_offsets(consumer: Any, topics: Iterable[str]) -> None:
    """Set lag and committed offset of the assigned partitions, and drop those of partitions given away."""
    of_interest = set(topics)
    COMMITTED.clear()
    LAG.clear()
    for topic, partition in consumer.assignment():
        if topic in of_interest:
            committed = consumer._committed_offset.get(TP(topic, partition)) or 0
            highwater = consumer.highwater(TP(topic, partition)) or 0
            COMMITTED.labels(topic, partition).set(committed)
            LAG.labels(topic, partition).set(max(0, highwater - committed))


def watch_room(state_dir: Path, table_dir: Path) -> None:
    """Set what the tables take on disk, and what room there is on it and in memory."""
    disk = shutil.disk_usage(state_dir)
    DISK_FREE.set(disk.free)
    DISK_SIZE.set(disk.total)
    MEMORY_LIMIT.set(memory_limit_bytes())
    TABLE_BYTES.clear()
    for table, size_bytes in table_sizes(table_dir).items():
        TABLE_BYTES.labels(table).set(size_bytes)


def table_sizes(table_dir: Path) -> Tally[str]:
    """Bytes by table of the files of all its partitions; RocksDB may remove some meanwhile."""
    sizes: Tally[str] = Tally()
    for folder, _, names in os.walk(table_dir):
        table = Path(folder).name.rpartition("-")[0]
        for name in names:
            with suppress(FileNotFoundError):
                sizes[table] += os.stat(os.path.join(folder, name)).st_size
    return sizes


def memory_limit_bytes(limit: Path = Path("/sys/fs/cgroup/memory.max")) -> int:
    """Of the control group (version 2), or the machine's memory where there is no limit."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(int(limit.read_text()), machine)
    except (OSError, ValueError):  # no such group, or "max"
        return machine

"""The Faust app of a worker, with the settings that held in the crash tests (docs/delivery.md)."""

import faust

from schemas import topics
from streams import metrics
from streams.engine.membership import Membership
from streams.engine.transport import BatchTransport
from streams.settings import Settings

BUFFERED_BATCHES = 16
"""Batches that wait before the agent; a partition is paused when there are more."""

MIB = 1024 * 1024


def faust_app(settings: Settings, membership: Membership | None = None) -> faust.App:
    """An app on the batched transport, nothing running yet.

    ``stream_wait_empty``: a partition is given away only when the batches under way are done, so that no older state
    is written behind the new owner's.
    """
    worker = settings.worker
    app = faust.App(
        worker.app_id,
        broker=settings.kafka.faust_broker(),
        broker_credentials=settings.kafka.faust_credentials(),
        store="rocksdb://",
        datadir=str(worker.state_dir),
        canonical_url=f"http://{worker.id}",
        web_enabled=False,
        autodiscover=False,
        processing_guarantee="at_least_once",
        broker_commit_interval=worker.commit_interval_s,
        broker_session_timeout=worker.session_timeout_s,
        broker_heartbeat_interval=worker.heartbeat_interval_s,
        broker_request_timeout=max(90.0, worker.session_timeout_s + 10.0),
        consumer_group_instance_id=worker.id,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=2 * MIB,
        stream_buffer_maxsize=BUFFERED_BATCHES,
        stream_wait_empty=True,
        table_standby_replicas=worker.standby_replicas,
        topic_partitions=settings.topics.partitions,
        topic_replication_factor=settings.topics.replication,
        topic_allow_declare=False,
        topic_disable_leader=True,
    )
    app.transport = BatchTransport(
        app.conf.broker,
        app,
        batched_topics=frozenset(topics.BEHAVIOUR),
        max_batch_records=worker.max_batch_records,
        membership=membership,
        on_guard=lambda topic: metrics.GUARDED.labels(topic).inc(),
        on_lost=lambda topic, n: metrics.LOST.labels(topic).inc(n),
    )
    return app

"""Every Prometheus metric of the trainer, declared in one place."""

from collections.abc import Mapping

from prometheus_client import Counter, Gauge

READY = Gauge("rillet_trainer_ready", "1 when the catalogue is read and the newest snapshot taken up.")
EXAMPLES = Gauge("rillet_trainer_examples", "Examples learned or kept since the model began.")
KEPT = Gauge("rillet_trainer_replay_examples", "Examples in the replay buffer.")
LOSS = Gauge("rillet_trainer_loss_nats", "Recent loss of examples before they were learned.")
HELD = Gauge("rillet_trainer_held_bytes", "Memory held at most, without the weights of the encoder.")
NEXT = Gauge(
    "rillet_trainer_next_offset", "First offset of the shared knowledge not learned.", ["topic", "partition"]
)
SNAPSHOT_TIME = Gauge("rillet_trainer_snapshot_timestamp_seconds", "When the newest snapshot was announced.")
SNAPSHOTS = Counter("rillet_trainer_snapshots_total", "Snapshots, by what became of them.", ["outcome"])
GAIN = Gauge(
    "rillet_trainer_gain_ratio", "Reciprocal rank that the newest snapshot gained over the one that served."
)
JUDGED = Gauge("rillet_trainer_judged", "Interactions of the jury by which that gain was judged.")


def place(next_offsets: Mapping[tuple[str, int], int]) -> None:
    """Set how far the trainer has learned."""
    for (topic, partition), offset in next_offsets.items():
        NEXT.labels(topic, partition).set(offset)

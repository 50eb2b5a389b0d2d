"""The embedding model: what the trainer learns, which versions it makes, what workers serve."""

from typing import Final

from streams.dashboards.panel import Dashboard, Look, Panel, Query, Row, Unit

EMBEDDING: Final = Dashboard(
    "rillet-embedding",
    "Rillet: embedding",
    "The embedding model: what the trainer learns, which versions it makes, what workers serve.",
    (
        Row(
            "Trainer",
            (
                Panel(
                    "Ready",
                    "1 when it learns.",
                    (Query('max(rillet_trainer_ready{job="rillet-trainer"})'),),
                    Unit.NUMBER,
                    Look.STAT,
                ),
                Panel(
                    "Age of the newest snapshot",
                    "",
                    (Query("time() - max(rillet_trainer_snapshot_timestamp_seconds > 0)"),),
                    Unit.SECONDS,
                    Look.STAT,
                    alarm=3_600,
                ),
                Panel(
                    "Examples",
                    "Learned or kept since the model began.",
                    (Query("max(rillet_trainer_examples)"),),
                    Unit.COUNT,
                    Look.STAT,
                ),
                Panel(
                    "Replay buffer",
                    "Examples in it.",
                    (Query("max(rillet_trainer_replay_examples)"),),
                    Unit.COUNT,
                    Look.STAT,
                ),
                Panel(
                    "Held at most",
                    "Memory without the encoder's weights.",
                    (Query("max(rillet_trainer_held_bytes)"),),
                    Unit.BYTES,
                    Look.STAT,
                ),
                Panel(
                    "Gain",
                    "Reciprocal rank that the newest snapshot gained over the one that served.",
                    (Query("max(rillet_trainer_gain_ratio)"),),
                    Unit.NUMBER,
                    Look.STAT,
                ),
            ),
        ),
        Row(
            "Learning",
            (
                Panel(
                    "Loss",
                    "Nats, of examples before they were learned.",
                    (Query("rillet_trainer_loss_nats", "{{instance}}"),),
                    Unit.NUMBER,
                ),
                Panel(
                    "Examples a second",
                    "",
                    (Query("sum(deriv(rillet_trainer_examples[5m]))"),),
                    Unit.PER_S,
                ),
                Panel(
                    "Records of the shared knowledge a second",
                    "How fast the trainer reads.",
                    (Query("sum by (topic) (deriv(rillet_trainer_next_offset[5m]))", "{{topic}}"),),
                    Unit.PER_S,
                ),
                Panel(
                    "Judged by",
                    "Interactions of the jury.",
                    (Query("max(rillet_trainer_judged)"),),
                ),
            ),
        ),
        Row(
            "Versions",
            (
                Panel(
                    "Snapshots in an hour",
                    "By what became of them.",
                    (
                        Query(
                            "sum by (outcome) (increase(rillet_trainer_snapshots_total[1h]))",
                            "{{outcome}}",
                        ),
                    ),
                ),
                Panel(
                    "Served",
                    "Workers by version: more than one only while they swap.",
                    (Query("count by (version) (rillet_embedding_info)", "{{version}}"),),
                ),
                Panel(
                    "Refused",
                    "Promoted versions that a worker could not take up.",
                    (Query("max by (instance) (rillet_embedding_refused)", "{{instance}}"),),
                    alarm=1,
                ),
            ),
        ),
    ),
)

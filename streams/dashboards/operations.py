"""The processes: partitions, recovery, commits, memory, disk, time by stage."""

from typing import Final

from streams.dashboards.panel import Dashboard, Look, Panel, Query, Row, Unit, rate

OPERATIONS: Final = Dashboard(
    "rillet-operations",
    "Rillet: operations",
    "The processes: partitions, recovery, commits, memory, disk, time by stage.",
    (
        Row(
            "Processes",
            (
                Panel(
                    "Answering",
                    "Processes that Prometheus reaches.",
                    (Query('sum(up{job=~"rillet-.*"})'),),
                    Unit.COUNT,
                    Look.STAT,
                ),
                Panel(
                    "Not ready",
                    "Workers.",
                    (Query('count(rillet_ready{job="rillet-worker"} == 0) or vector(0)'),),
                    Unit.COUNT,
                    Look.STAT,
                    alarm=1,
                ),
                Panel(
                    "Recovering",
                    "Workers whose tables are not up to their changelogs.",
                    (Query('sum(rillet_recovering{job="rillet-worker"})'),),
                    Unit.COUNT,
                    Look.STAT,
                    alarm=1,
                ),
                Panel(
                    "Restarts in an hour",
                    "",
                    (Query('sum(changes(process_start_time_seconds{job=~"rillet-.*"}[1h]))'),),
                    Unit.COUNT,
                    Look.STAT,
                    alarm=3,
                ),
                Panel(
                    "Offset guard in an hour",
                    "Times a partition was sought back; some at each rebalance.",
                    (Query("sum(increase(rillet_offset_guard_total[1h])) or vector(0)"),),
                    Unit.COUNT,
                    Look.STAT,
                    alarm=80,
                ),
                Panel(
                    "Lost in a day",
                    "Records that retention deleted before they were read.",
                    (Query("sum(increase(rillet_lost_records_total[1d])) or vector(0)"),),
                    Unit.COUNT,
                    Look.STAT,
                    alarm=1,
                ),
            ),
        ),
        Row(
            "Partitions and acknowledgement",
            (
                Panel(
                    "Partitions by worker",
                    "Of source topics.",
                    (Query("count by (instance) (rillet_lag_records)", "{{instance}}"),),
                    look=Look.STACKED,
                ),
                Panel(
                    "Lag by partition",
                    "The ten that wait longest.",
                    (Query("topk(10, rillet_lag_records)", "{{topic}} {{partition}}"),),
                ),
                Panel(
                    "Committed",
                    "Offsets a second, by topic.",
                    (Query("sum by (topic) (deriv(rillet_committed_offset[5m]))", "{{topic}}"),),
                    Unit.PER_S,
                ),
                Panel(
                    "On the way",
                    "Fetches whose effects, and records that, are not on the broker yet.",
                    (
                        Query("max by (instance) (rillet_unacknowledged_fetches)", "{{instance}} fetches"),
                        Query("max by (instance) (rillet_outbox_records)", "{{instance}} records"),
                    ),
                ),
            ),
        ),
        Row(
            "Time",
            (
                Panel(
                    "Time by stage",
                    "Seconds of a second, over all workers.",
                    (Query(rate("rillet_stage_seconds_total", "stage"), "{{stage}}"),),
                    Unit.SECONDS,
                    Look.STACKED,
                ),
                Panel(
                    "CPU",
                    "Cores used by process.",
                    (
                        Query(
                            rate("process_cpu_seconds_total", "job, instance", 'job=~"rillet-.*"'),
                            "{{job}} {{instance}}",
                        ),
                    ),
                    Unit.NUMBER,
                ),
                Panel(
                    "Records in a micro-batch",
                    "Half of them, and nine tenths, have at most so many.",
                    (
                        Query(
                            f"histogram_quantile(0.5, {rate('rillet_batch_records_bucket', 'le')})", "median"
                        ),
                        Query(f"histogram_quantile(0.9, {rate('rillet_batch_records_bucket', 'le')})", "p90"),
                    ),
                ),
                Panel(
                    "Size of a user's state, p90",
                    "",
                    (Query(f"histogram_quantile(0.9, {rate('rillet_state_bytes_bucket', 'le')})"),),
                    Unit.BYTES,
                ),
            ),
        ),
        Row(
            "Room",
            (
                Panel(
                    "Resident memory",
                    "By process.",
                    (
                        Query('process_resident_memory_bytes{job=~"rillet-.*"}', "{{job}} {{instance}}"),
                        Query('min(rillet_memory_limit_bytes{job="rillet-worker"})', "least limit"),
                    ),
                    Unit.BYTES,
                ),
                Panel(
                    "Retrieval sources",
                    "Memory of the largest worker's.",
                    (Query("max by (source) (rillet_source_bytes)", "{{source}}"),),
                    Unit.BYTES,
                    Look.STACKED,
                ),
                Panel(
                    "RocksDB",
                    "Files of the tables, over all workers.",
                    (Query("sum by (table) (rillet_table_bytes)", "{{table}}"),),
                    Unit.BYTES,
                    Look.STACKED,
                ),
                Panel(
                    "Disk left",
                    "Where the state lies.",
                    (
                        Query(
                            'rillet_state_disk_free_bytes{job="rillet-worker"} / rillet_state_disk_size_bytes',
                            "{{instance}}",
                        ),
                    ),
                    Unit.SHARE,
                ),
                Panel(
                    "Open files",
                    "Share of those allowed.",
                    (Query('process_open_fds{job=~"rillet-.*"} / process_max_fds', "{{job}} {{instance}}"),),
                    Unit.SHARE,
                    alarm=0.8,
                ),
                Panel(
                    "Read model of the API",
                    "Entries held.",
                    (Query("max by (topic) (rillet_api_entries)", "{{topic}}"),),
                ),
            ),
        ),
    ),
)

"""Whether all is well: what comes in, what goes out, how fast, how far behind."""

from typing import Final

from streams.dashboards.panel import Dashboard, Look, Panel, Query, Row, Unit, quantile, rate

LATENCY: Final = "rillet_slate_latency_seconds"

OVERVIEW: Final = Dashboard(
    "rillet-overview",
    "Rillet: overview",
    "Whether all is well: what comes in, what goes out, how fast, how far behind.",
    (
        Row(
            "Now",
            (
                Panel(
                    "Records",
                    "Taken from source topics.",
                    (Query(rate("rillet_records_total")),),
                    Unit.PER_S,
                    Look.STAT,
                ),
                Panel(
                    "Slates",
                    "Of users, published.",
                    (Query(rate("rillet_slates_total", where='kind="user"')),),
                    Unit.PER_S,
                    Look.STAT,
                ),
                Panel(
                    "Latency p99",
                    "From an event's record to its slate on the broker.",
                    (Query(quantile(0.99, LATENCY)),),
                    Unit.SECONDS,
                    Look.STAT,
                    alarm=0.25,
                ),
                Panel(
                    "Lag",
                    "Records of source topics that wait.",
                    (Query("sum(rillet_lag_records)"),),
                    Unit.COUNT,
                    Look.STAT,
                    alarm=10_000,
                ),
                Panel(
                    "Refused",
                    "Share of the records that become dead letters.",
                    (Query(f"{rate('rillet_rejected_total')} / {rate('rillet_records_total')}"),),
                    Unit.SHARE,
                    Look.STAT,
                    alarm=0.01,
                ),
                Panel(
                    "Alerts",
                    "Firing now.",
                    (Query('count(ALERTS{alertstate="firing", alertname=~"Rillet.*"}) or vector(0)'),),
                    Unit.COUNT,
                    Look.STAT,
                    alarm=1,
                ),
            ),
        ),
        Row(
            "Flow",
            (
                Panel(
                    "Records by topic",
                    "Taken from source topics.",
                    (Query(rate("rillet_records_total", "topic"), "{{topic}}"),),
                    Unit.PER_S,
                    Look.STACKED,
                ),
                Panel(
                    "Published by kind",
                    "Slates, leaderboards and related items.",
                    (Query(rate("rillet_slates_total", "kind"), "{{kind}}"),),
                    Unit.PER_S,
                ),
                Panel(
                    "Dead letters by reason",
                    "Records refused.",
                    (Query(rate("rillet_rejected_total", "topic, reason"), "{{topic}} {{reason}}"),),
                    Unit.PER_S,
                    Look.STACKED,
                ),
                Panel(
                    "Repeats",
                    "Events redelivered after a restart, and events whose id had been seen.",
                    (
                        Query(rate("rillet_replayed_total"), "redelivered"),
                        Query(rate("rillet_duplicates_total"), "sent twice"),
                    ),
                    Unit.PER_S,
                ),
            ),
        ),
        Row(
            "Freshness",
            (
                Panel(
                    "Latency",
                    "From an event's record to its slate on the broker.",
                    (
                        Query(quantile(0.5, LATENCY), "p50"),
                        Query(quantile(0.9, LATENCY), "p90"),
                        Query(quantile(0.99, LATENCY), "p99"),
                    ),
                    Unit.SECONDS,
                    alarm=0.25,
                ),
                Panel(
                    "Late slates",
                    "Share that took more than 250 ms. The objective is 1%; at 14.4% the month is spent in two days.",
                    (
                        Query("rillet:slates_late:ratio_rate5m", "5 minutes"),
                        Query("rillet:slates_late:ratio_rate1h", "1 hour"),
                        Query("rillet:slates_late:ratio_rate6h", "6 hours"),
                    ),
                    Unit.SHARE,
                    alarm=0.144,
                ),
                Panel(
                    "Lag by topic",
                    "Records that wait.",
                    (Query("sum by (topic) (rillet_lag_records)", "{{topic}}"),),
                ),
                Panel(
                    "Age of the newest event",
                    "How long ago the event processed last happened, by the shop's clock.",
                    (Query("time() - max by (topic) (rillet_event_timestamp_seconds)", "{{topic}}"),),
                    Unit.SECONDS,
                ),
            ),
        ),
        Row(
            "API",
            (
                Panel(
                    "Requests",
                    "Answered, by status.",
                    (Query(rate("rillet_api_requests_total", "status"), "{{status}}"),),
                    Unit.PER_S,
                ),
                Panel(
                    "Time to answer, p99",
                    "By route.",
                    (Query(quantile(0.99, "rillet_api_request_seconds", by="route"), "{{route}}"),),
                    Unit.SECONDS,
                ),
                Panel(
                    "Event to visible, p99",
                    "From a record's timestamp to its being readable over HTTP.",
                    (Query(quantile(0.99, "rillet_api_visible_seconds")),),
                    Unit.SECONDS,
                ),
                Panel(
                    "Open streams",
                    "Of server-sent events.",
                    (Query("sum by (kind) (rillet_api_streams)", "{{kind}}"),),
                ),
            ),
        ),
    ),
)

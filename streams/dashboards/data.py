"""How good the data are, and what they are worth."""

from typing import Final

from streams.dashboards.panel import Dashboard, Look, Panel, Query, Row, Unit, rate

STATUS: Final = "max by (source, check, field) (rillet_quality_check_status)"
DIMENSIONS: Final = ("completeness", "validity", "uniqueness", "consistency", "timeliness")


def _measured(dimension: str) -> tuple[Query, ...]:
    expr = f'avg by (topic, field) (rillet_quality_ratio{{dimension="{dimension}"}})'
    return (Query(expr, "{{topic}} {{field}}"),)


DATA: Final = Dashboard(
    "rillet-data",
    "Rillet: data",
    "How good the data are, and what they are worth.",
    (
        Row(
            "Checks",
            (
                Panel(
                    "Status of the checks",
                    "Of those that do not pass, and have not passed within the time shown.",
                    (
                        Query(
                            f"{STATUS} and max by (source, check, field) "
                            "(max_over_time(rillet_quality_check_status[$__range])) > 0",
                            "{{source}} {{check}} {{field}}",
                        ),
                    ),
                    Unit.NUMBER,
                    Look.STATES,
                ),
                Panel(
                    "Failing checks",
                    "By source.",
                    (Query(f"count by (source) ({STATUS} == 2)", "{{source}}"),),
                    alarm=1,
                ),
                Panel(
                    "Actions in force",
                    "Because a check fails.",
                    (Query("max by (source, kind) (rillet_quality_actions)", "{{source}} {{kind}}"),),
                ),
            ),
        ),
        Row(
            "Measurements of the latest window",
            (
                *(Panel(each.capitalize(), "By field.", _measured(each), Unit.SHARE) for each in DIMENSIONS),
                Panel(
                    "Volume",
                    "Records taken, by topic.",
                    (Query(rate("rillet_records_total", "topic"), "{{topic}}"),),
                    Unit.PER_S,
                ),
            ),
        ),
        Row(
            "What was refused, cleaned and dropped",
            (
                Panel(
                    "Refused",
                    "Share of the records, by topic.",
                    (
                        Query(
                            f"{rate('rillet_rejected_total', 'topic')} / {rate('rillet_records_total', 'topic')}",
                            "{{topic}}",
                        ),
                    ),
                    Unit.SHARE,
                    alarm=0.01,
                ),
                Panel(
                    "Cleaned",
                    "Events that a step of cleaning changed or kept from teaching.",
                    (Query(rate("rillet_cleaned_total", "topic, step"), "{{topic}} {{step}}"),),
                    Unit.PER_S,
                ),
                Panel(
                    "Unknown fields",
                    "Dropped because the schema lacks them.",
                    (Query(rate("rillet_unknown_fields_total", "topic"), "{{topic}}"),),
                    Unit.PER_S,
                ),
                Panel("Items known", "", (Query("max(rillet_items)", "items"),)),
            ),
        ),
        Row(
            "What data are worth",
            (
                Panel(
                    "Value",
                    "NDCG that a source or signal adds, by Shapley's shares.",
                    (Query("avg by (of, player) (rillet_value_ndcg)", "{{of}} {{player}}"),),
                    Unit.NUMBER,
                ),
                Panel(
                    "Left out",
                    "NDCG lost where it alone is left out.",
                    (Query("avg by (of, player) (rillet_value_left_out_ndcg)", "{{of}} {{player}}"),),
                    Unit.NUMBER,
                ),
            ),
        ),
    ),
)

from models.inventory.worth import of_values
from schemas import topics
from schemas.value import Value, ValueReport

HOUR_MS = 3_600_000


def told(end_ms: int, n: int, of: str = "source", **values: float) -> ValueReport:
    return ValueReport(
        of=of, window_start_ms=end_ms - 10, window_end_ms=end_ms, n=n, k=20, all_in={}, none_in={},
        values=[Value(player=player, metric="ndcg", value=value, value_error=0.0, left_out=0.0, left_out_error=0.0)
                for player, value in values.items()],
    )  # fmt: skip


def test_a_topic_is_worth_what_its_sources_are_weighed_by_lists() -> None:
    found = of_values(
        [
            told(2 * HOUR_MS, 10, browse=0.3, attributes=0.02, text=0.01),
            told(2 * HOUR_MS + 10, 30, browse=0.1, attributes=0.02, text=0.01),
            told(2 * HOUR_MS, 99, of="signal", price=1.0),
            told(10, 1_000, browse=9.0),
        ]
    )
    # (10 * 0.3 + 30 * 0.1) / 40; what is older than an hour is past.
    assert found[topics.BROWSE] == 0.15
    assert found[topics.ITEMS] == 0.03
    assert found[topics.SEARCH] == 0.0


def test_without_reports_nothing_is_known() -> None:
    assert of_values([]) == {}

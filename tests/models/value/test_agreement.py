import pytest

from models.value.agreement import agreement
from schemas.value import Value


def lost(**by: float) -> list[Value]:
    return [
        Value(player=player, metric="ndcg", value=0.0, value_error=0.0, left_out=left_out, left_out_error=0.1)
        for player, left_out in by.items()
    ]


@pytest.mark.parametrize(
    ("true", "tau"),
    [
        ({"browse": 0.4, "attributes": 0.02, "purchase": -0.001}, 1.0),
        ({"browse": 0.4, "attributes": -0.02, "purchase": -0.001}, 1 / 3),  # one of three pairs is reversed
        ({"purchase": 0.4, "browse": 0.02}, -1.0),
        ({"browse": 0.4}, None),
        ({"browse": 0.0, "attributes": 0.0}, None),
        ({}, None),
    ],
)
def test_orders_are_compared_over_the_sources_that_both_name(true: dict[str, float], tau: float) -> None:
    quick = lost(browse=0.5, attributes=0.1, purchase=0.0, text=0.3)
    assert agreement(quick, lost(**true), "ndcg") == (None if tau is None else pytest.approx(tau))
    assert agreement(quick, lost(**true), "mrr") is None

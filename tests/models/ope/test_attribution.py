import numpy as np
import pytest

from models.kinds import Kind
from models.ope.attribution import Reaction, Showing, attribute

REWARDS = {Kind.CLICK: 1.0, Kind.PURCHASE: 5.0}
WINDOW_MS = 1_000
SHOWN = [
    Showing("s1", "u", "a", 100),
    Showing("s1", "u", "b", 100),
    Showing("s2", "u", "a", 500),
    Showing("s3", "v", "a", 100),
]


def reaction(item="a", kind=Kind.CLICK, time_ms=600, slate_id=None, user_id="u", worth=1.0):
    return Reaction(user_id, item, kind, time_ms, slate_id, worth)


def credited(*reactions):
    return attribute(SHOWN, reactions, REWARDS, WINDOW_MS)


@pytest.mark.parametrize(
    ("done", "row"),
    [
        (reaction(slate_id="s1"), 0),
        (reaction(slate_id="s1", item="b"), 1),
        (reaction(), 2),
        (reaction(time_ms=499), 0),
        (reaction(time_ms=500), 2),
        (reaction(user_id="v"), 3),
    ],
)
def test_credit_goes_to_the_slate_that_is_named_else_to_the_latest_showing(done, row):
    assert np.flatnonzero(credited(done).gains[:, 0]).tolist() == [row]


@pytest.mark.parametrize(
    "done",
    [
        reaction(slate_id="elsewhere"),
        reaction(slate_id="s2", item="b"),
        reaction(slate_id="s1", user_id="v"),
        reaction(time_ms=99),
        reaction(time_ms=1_501),
        reaction(item="unseen"),
        reaction(kind=Kind.CART),
    ],
)
def test_no_credit_for_what_was_shown_elsewhere_or_at_another_time_or_earns_nothing(done):
    found = credited(done)
    assert (found.gains.sum(), found.n_credited) == (0.0, 0)
    assert np.all(np.isinf(found.gained_ms))


def test_kinds_add_up_and_repeats_count_once_at_their_first():
    found = credited(reaction(time_ms=600), reaction(time_ms=700), reaction(kind=Kind.PURCHASE, time_ms=800))
    assert found.gains[2].tolist() == [1.0, 5.0]
    assert found.gained_ms[2].tolist() == [600.0, 800.0]
    assert found.n_credited == 3


def test_a_rating_is_worth_as_much_as_it_is_good():
    found = attribute(SHOWN, [reaction(kind=Kind.RATING, worth=0.25)], {Kind.RATING: 4.0}, WINDOW_MS)
    assert found.gains[2].tolist() == [1.0]

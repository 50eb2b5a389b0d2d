"""Sessions that answer are worth what they add, those that are near and wrong less than nothing."""

from itertools import combinations
from math import comb

import numpy as np
import pytest

from models.retrieve.settings import SessionKnnSettings
from models.value.points import sessions_of, shapley, valued
from models.value.removal import curve, questions


def by_definition(gain, k):
    """Shapley's value by all coalitions: the mean of what each adds."""
    n = len(gain)

    def worth(some):
        return sum(gain[i] for i in sorted(some)[:k]) / k

    return [
        sum(
            (worth((*some, i)) - worth(some)) / (n * comb(n - 1, len(some)))
            for size in range(n)
            for some in combinations([j for j in range(n) if j != i], size)
        )
        for i in range(n)
    ]


@pytest.mark.parametrize(("n", "k"), [(1, 3), (3, 3), (6, 1), (7, 3), (6, 9)])
def test_the_recursion_is_the_definition(n, k):
    gain = np.random.default_rng(n).random(n).round(2)
    out = np.empty(n)
    shapley(gain, k, out)
    assert out == pytest.approx(by_definition(gain.tolist(), k))
    assert out.sum() == pytest.approx(gain[:k].sum() / k)


def test_one_question_by_hand(view):
    # u asks: at a, wants b. v answers b alone (gain 1), w answers b or c (1/2), x shares nothing.
    log = [
        *(view(s, "v", item) for s, item in enumerate("ab")),
        *(view(10 + s, "w", item) for s, item in enumerate("acb")),
        *(view(20 + s, "x", item) for s, item in enumerate("de")),
        *(view(30 + s, "u", item) for s, item in enumerate("ab")),
    ]
    sessions = sessions_of(log, 1800.0, 32)
    found = valued(sessions, np.array([3]), 3, k=1, sample=10)
    # Both share a and are alike; w is the later one, so the nearest. value(v) = 1 / 2, value(w) = 1/2 + (1/2 - 1) = 0.
    assert found.session == pytest.approx([0.5, 0.0, 0.0])
    assert (found.n, found.total, found.asked.tolist()) == (1, 0.5, [1, 1, 0])
    # All of it is due to a, which made them neighbours.
    assert found.item == pytest.approx([0.5, 0.0, 0.0, 0.0, 0.0])


def test_sessions_end_when_idle_and_keep_distinct_items(view):
    log = [view(0, "u", "a"), view(1, "u", "b"), view(2, "u", "a"), view(9_999, "u", "c")]
    sessions = sessions_of(log, 1800.0, 32)
    assert sessions.starts.tolist() == [0, 2, 3]
    assert [sessions.names[i] for i in sessions.items] == ["a", "b", "c"]
    assert sessions.user.tolist() == [0, 0]


@pytest.fixture(scope="module")
def with_bots(view):
    """800 walkers along a ring of 160 items; every eighth of the first 320 is a bot that takes items at random."""
    rng = np.random.default_rng(5)
    log, bots = [], []
    for shopper in range(800):
        if shopper < 320 and shopper % 8 == 0:
            bots.append(shopper)
            items = rng.choice(160, 12, replace=False).tolist()
        else:
            items = [int(rng.integers(160))]
            for _ in range(4):
                items.append((items[-1] + int(rng.choice([1, 1, 2]))) % 160)
        log += [view(100 * shopper + s, f"u{shopper}", f"i{item}") for s, item in enumerate(items)]
    return sessions_of(log, 1800.0, 32), np.isin(np.arange(320), bots)


def test_bots_are_worth_less_than_nothing_and_shoppers_more(with_bots):
    sessions, is_bot = with_bots
    found = valued(sessions, np.arange(320, 800), 320, k=5, sample=100)
    assert found.session.sum() == pytest.approx(found.total)
    assert found.item.sum() == pytest.approx(found.total)
    assert found.session[is_bot].max() < np.median(found.session[~is_bot])
    better = (found.session[is_bot][:, None] < found.session[~is_bot][None, :]).mean()
    assert better > 0.9
    assert found.session[is_bot].sum() < 0.0 < found.session[~is_bot].sum()


def test_without_the_best_more_is_lost_than_without_any(with_bots):
    sessions, _ = with_bots
    later = np.arange(320, 800)
    found = valued(sessions, later[::2], 320, k=5, sample=100)
    point = np.repeat(np.arange(320), np.diff(sessions.starts[:321])).astype(np.int32)
    knn = SessionKnnSettings(n_sessions=512, n_blocks=4_096)
    asked = questions(sessions, later[1::2], knn.query_items)
    change = {
        (each.which, each.share): each.change.mean
        for each in curve(sessions, 320, point, found.session, asked, knn, 5)
        if each.measure == "mrr@5"
    }
    assert change["highest", 0.05] < change["random", 0.05] < change["lowest", 0.05]
    assert change["lowest", 0.05] > -0.005


def test_a_full_sample_still_weighs_the_sessions_in_it_by_all_they_share(view):
    # u asks: at a, wants c, and at a, c, wants x. s shares both and alone has c and x, o1 and o2 share c, z shares a.
    log = [
        *(view(t, "s", item) for t, item in enumerate("acx")),
        *(view(10 * n + t, f"o{n}", item) for n in (1, 2) for t, item in enumerate("cd")),
        *(view(40 + t, "z", item) for t, item in enumerate("ae")),
        *(view(50 + t, "u", item) for t, item in enumerate("acx")),
    ]
    sessions = sessions_of(log, 1800.0, 32)
    found = valued(sessions, np.array([4]), 4, k=1, sample=3)
    # At a, z is the nearer one: -1/4, and s 1/4. At a, c no place is left for z, and s is the nearest by both items: 1.
    assert found.session == pytest.approx([0.625, 0.0, 0.0, -0.125])

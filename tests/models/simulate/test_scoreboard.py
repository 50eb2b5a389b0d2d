import pytest

from models.simulate.scoreboard import Popular, Scoreboard


def test_a_look_is_scored_by_the_slate_of_before() -> None:
    board = Scoreboard(k=2)
    board.look("ann", "a", from_slate=False)  # no slate yet: not counted
    board.publish("ann", ["b", "c", "d"])
    board.look("ann", "b", from_slate=False, oracle=1)  # hit
    board.look("ann", "d", from_slate=False, oracle=0)  # third of a slate cut at 2: miss
    board.publish("ann", ["d", "e"])
    board.look("ann", "d", from_slate=False)  # hit
    rates = board.rates()
    assert rates.n_looks == 3
    assert rates.ours == pytest.approx(2 / 3)
    assert rates.oracle == pytest.approx(1 / 2)


def test_a_look_that_a_slate_brought_about_is_not_counted() -> None:
    board = Scoreboard(k=2)
    board.publish("ann", ["b"])
    board.look("ann", "b", from_slate=True)
    assert board.rates().n_looks == 0


def test_popularity_is_tested_before_it_learns() -> None:
    board = Scoreboard(k=1)
    board.publish("ann", ["z"])
    for item in ("a", "a", "b", "a"):  # miss (nothing known), hit, miss, hit
        board.look("ann", item, from_slate=False)
    assert board.rates().popular == pytest.approx(2 / 4)


def test_looks_at_items_new_to_the_user_are_counted_by_themselves() -> None:
    board = Scoreboard(k=2)
    board.publish("ann", ["b", "c"])
    for item in ("a", "b", "a", "b"):  # new miss, new hit, known miss, known hit
        board.look("ann", item, from_slate=False, oracle=1)
    assert board.rates().n_looks == 4
    assert board.rates_of_new().n_looks == 2
    assert board.rates_of_new().ours == pytest.approx(1 / 2)
    assert board.rates_of_new().oracle == pytest.approx(1.0)


def test_popular_keeps_the_most_counted() -> None:
    popular = Popular(2)
    for item in ("a", "b", "c", "c", "a"):  # a 2, b 1, c 2
        popular.count(item)
    assert "a" in popular
    assert "c" in popular
    assert "b" not in popular


def test_slates_are_bounded_and_the_oldest_goes() -> None:
    board = Scoreboard(k=1, max_users=2)
    for user in ("ann", "bob", "cy"):
        board.publish(user, ["a"])
    for user in ("cy", "bob", "ann"):
        board.look(user, "a", from_slate=False)
    assert board.rates().n_looks == 2


def test_without_looks_there_is_no_rate() -> None:
    rates = Scoreboard(k=1).rates()
    assert (rates.ours, rates.popular, rates.oracle) == (None, None, None)

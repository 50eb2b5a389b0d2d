"""What is worth nothing is found once enough was seen, told once, and told when it is over."""

import pytest
from msgspec.structs import replace

from models.value.selection import Finding, Selection, Told
from models.value.selection_settings import SelectionSettings
from schemas.value import Value, ValueReport

SETTINGS = SelectionSettings(worth=0.001, min_windows=3, min_lists=300, windows=6)


def window(number: int, n: int = 100, **values: tuple[float, float]) -> ValueReport:
    """Of n lists, with a value and its error for each player."""
    told = [
        Value(player=player, metric="ndcg", value=value, value_error=error, left_out=0.0, left_out_error=0.0)
        for player, (value, error) in values.items()
    ]
    return ValueReport(
        of="signal",
        window_start_ms=number * 10,
        window_end_ms=number * 10 + 10,
        n=n,
        k=20,
        all_in={"ndcg": 0.5},
        none_in={"ndcg": 0.0},
        values=told,
    )


def after(*windows: ValueReport) -> list[Finding]:
    selection = Selection(SETTINGS)
    for each in windows:
        selection.add(each)
    return selection.findings()


def test_a_value_whose_interval_ends_below_the_worth_is_found_with_its_evidence() -> None:
    same = {"price": (-0.01, 0.004), "history": (0.2, 0.01), "covisitation": (0.0, 0.001)}
    found = after(*(window(n, **same) for n in range(4)))
    assert [each.player for each in found] == ["price", "covisitation"], "the least valuable first"
    price, covisitation = found
    # Four windows of 100 lists of error 0.004: 0.004 / sqrt(4) = 0.002.
    assert (price.value, price.error) == pytest.approx((-0.01, 0.002), abs=1e-6)
    assert (price.n, price.since_ms, price.until_ms) == (400, 0, 40)
    assert (price.harms, covisitation.harms) == (True, False)
    assert covisitation.high == pytest.approx(1.96 * 0.0005, abs=1e-6)


def test_too_few_windows_or_lists_say_nothing() -> None:
    noise = {"price": (-0.01, 0.001)}
    assert after(window(0, n=1_000, **noise), window(1, n=1_000, **noise)) == []
    assert after(*(window(n, n=99, **noise) for n in range(3))) == []


def test_what_there_is_nothing_of_is_not_found() -> None:
    assert after(*(window(n, price=(0.0, 0.0)) for n in range(4))) == []


def test_an_uncertain_value_is_not_found() -> None:
    assert after(*(window(n, price=(-0.01, 0.02)) for n in range(4))) == []


def test_only_the_newest_windows_count() -> None:
    bad, good = {"price": (-0.01, 0.001)}, {"price": (0.05, 0.001)}
    assert after(*(window(n, **bad) for n in range(6)), *(window(n, **good) for n in range(6, 12))) == []


def finding(value: float, error: float = 0.0001, player: str = "price") -> Finding:
    return Finding("signal", player, value, error, 400, 0, 40)


def test_each_is_told_once_and_again_when_it_harms_or_is_over() -> None:
    told, judged = Told(), {"signal"}
    worthless, harmful = finding(0.0), finding(-0.01)
    assert told.decide([worthless], judged) == ([worthless], [])
    assert told.decide([worthless], judged) == ([], [])
    assert told.decide([harmful], judged) == ([harmful], [])
    assert told.decide([worthless], judged) == ([], []), "that it is better than it was is not told by itself"
    other = finding(0.0, player="history")
    assert told.decide([other], judged) == ([other], [harmful])
    assert told.decide([], judged) == ([], [other])


def test_what_another_worker_told_is_not_told_again_and_is_over_when_it_holds_no_more() -> None:
    told = Told()
    worthless, harmful, gone = finding(0.0), finding(-0.01), finding(0.0, player="history")
    for each in (worthless, harmful, gone):
        told.proposed(each)
    told.withdrawn(gone)
    assert told.decide([finding(-0.02)], {"signal"}) == ([], [])
    assert told.decide([], {"signal"}) == ([], [harmful])


def test_nothing_is_over_while_too_little_was_seen() -> None:
    told, few = Told(), Selection(SETTINGS)
    told.proposed(finding(-0.01))
    few.add(window(0, history=(0.2, 0.01)))
    assert told.decide(few.findings(), few.judged()) == ([], [])
    for number in (1, 2):
        few.add(window(number, history=(0.2, 0.01)))
    assert few.judged() == {"signal"}
    assert told.decide(few.findings(), few.judged()) == ([], [finding(-0.01)])


def test_by_shadow_learners_nothing_is_dropped() -> None:
    told = [replace(window(n, browse=(-0.01, 0.001)), of="shadow") for n in range(4)]
    assert after(*told) == []

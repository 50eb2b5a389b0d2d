from itertools import count

import numpy as np
import pytest

from models.interest.fold import fold
from models.interest.queries import queries, seen
from models.interest.seen import BOUGHT, DISMISSED, VIEWED
from models.interest.settings import InterestSettings
from models.interest.state import State
from models.knowledge.vocabulary import Vocabularies, Vocabulary
from schemas.events import Browse, Cart, Dismiss, Line, Purchase, Search

SETTINGS = InterestSettings(
    half_lives_s=(10.0, 100.0, 1000.0),
    blend=(0.5, 0.3, 0.2),
    idle_s=1800.0,
    session_width=4,
    history_width=5,
    category_width=2,
    brand_width=2,
    term_width=3,
)


def vocabulary(words):
    made = Vocabulary(16)
    made.encode(words.split())
    return made


VOCABULARIES = Vocabularies(
    items=vocabulary("i0 i1 i2 i3 i4 i5 i6"),
    categories=vocabulary("c0 c1 c2"),
    brands=vocabulary("b0 b1 b2"),
    terms=vocabulary("red blue shoes"),
    queries=Vocabulary(16),
    segments=vocabulary("app web"),
)
VOCABULARIES.queries.encode(["red shoes"])


EVENT_IDS = count()


def event(kind, time_s, **more):
    return kind(event_id=f"e{next(EVENT_IDS)}", user_id="u", time_ms=int(time_s * 1000), **more)


def browse(time_s, item, **more):
    return event(Browse, time_s, item_id=item, **more)


def folded(*events):
    state = State()
    fold(state, [("t", 0, i, e) for i, e in enumerate(events)], SETTINGS)
    return state


def ask(*states, now_s=None):
    now = [s.latest_ms / 1000 for s in states] if now_s is None else [now_s] * len(states)
    return queries(states, np.arange(len(states), dtype=np.uint64), np.array(now), VOCABULARIES, SETTINGS)


def test_the_session_is_what_came_without_an_idle_gap_and_the_history_all():
    state = folded(browse(0, "i1"), browse(1801, "i2"), browse(3601, "i3"), browse(3700, "i2"))
    asked = ask(state)
    # From i1 to i2 are 1801 s, which cuts; from i2 to i3 just 1800 s. i2 counts where it came last.
    assert asked.items.tolist() == [[2, 3, -1, -1]]
    assert asked.history.tolist() == [[2, 3, 1, -1, -1]]
    assert asked.history_age_s.tolist() == [[0.0, 99.0, 3700.0, 0.0, 0.0]]


def test_the_session_id_of_the_shop_cuts_and_joins_whatever_the_gap():
    joined = folded(browse(0, "i1", session_id="s"), browse(9000, "i2", session_id="s"))
    cut = folded(browse(0, "i1", session_id="s"), browse(1, "i2", session_id="z"))
    without = folded(browse(0, "i1", session_id="s"), browse(1, "i2"))
    assert ask(joined, cut, without).items[:, :2].tolist() == [[2, 1], [2, -1], [2, 1]]


def test_a_session_is_over_when_now_is_long_after_it():
    asked = ask(folded(browse(0, "i1")), now_s=1801.0)
    assert asked.items.tolist() == [[-1] * 4]
    assert asked.history[0, 0] == 1


def test_an_item_weighs_what_its_strongest_interaction_does():
    state = folded(browse(0, "i1"), event(Cart, 1, item_id="i1"), browse(2, "i1"), browse(3, "i2"))
    assert ask(state).weights.tolist() == [[1.0, 3.0, 0.0, 0.0]]


def test_dismissed_and_unknown_items_are_left_out():
    state = folded(browse(0, "i1"), browse(1, "new"), browse(2, "i3"), event(Dismiss, 3, item_id="i1"))
    asked = ask(state)
    assert asked.items.tolist() == [[3, -1, -1, -1]]
    assert asked.history.tolist() == [[3, -1, -1, -1, -1]]


def test_no_more_items_than_the_width_the_newest_first():
    state = folded(*(browse(t, f"i{t}") for t in range(7)))
    asked = ask(state)
    assert asked.items.tolist() == [[6, 5, 4, 3]]
    assert asked.history.tolist() == [[6, 5, 4, 3, 2]]


def test_affinities_are_blended_over_half_lives_and_sum_to_one():
    state = folded(browse(0, "i1", category="c1"), browse(10, "i2", category="c2"))
    asked = ask(state)
    # Now is 10 s. c1 has decayed to 0.5, 2^-0.1 and 2^-0.01, c2 is 1 at each half-life h.
    # c1 = sum of blend_h * w_h / (1 + w_h + 1), c2 = sum of blend_h * 1 / (1 + w_h + 1).
    w = [0.5, 2**-0.1, 2**-0.01]
    c1 = sum(b * x / (2 + x) for b, x in zip((0.5, 0.3, 0.2), w, strict=True))
    c2 = sum(b / (2 + x) for b, x in zip((0.5, 0.3, 0.2), w, strict=True))
    assert asked.category.tolist() == [[2, 1]]
    assert asked.category_weight[0] == pytest.approx([c2 / (c1 + c2), c1 / (c1 + c2)], rel=1e-6)


def test_equal_affinities_come_by_the_lower_index_and_fill_the_width_only():
    state = folded(*(browse(0, "i1", brand=f"b{i}") for i in (2, 1, 0)), browse(0, "i1", brand="unknown"))
    asked = ask(state)
    assert asked.brand.tolist() == [[0, 1]]
    assert asked.brand_weight.tolist() == [[0.5, 0.5]]


def test_terms_come_newest_first_and_fade_with_age():
    state = folded(event(Search, 0, query="blue"), event(Search, 100, query="red shoes"))
    fresh, later = ask(state), ask(state, now_s=10_000.0)
    assert fresh.term.tolist() == [[0, 2, 1]]
    assert fresh.query.tolist() == [0]
    # At 100 s: each new term 0.5 at every half-life, blue 0.5 * 2^-10, 2^-1 and 2^-0.1 of it.
    old = [0.5 * 2**-10, 0.5 * 2**-1, 0.5 * 2**-0.1]
    red = sum(b * 0.5 / (2 + x) for b, x in zip((0.5, 0.3, 0.2), old, strict=True))
    blue = sum(b * x / (2 + x) for b, x in zip((0.5, 0.3, 0.2), old, strict=True))
    assert fresh.term_weight[0] == pytest.approx([red, red, blue], rel=1e-6)
    assert (later.term_weight < 0.001).all()
    assert later.query.tolist() == [-1]


def test_price_and_platform_are_those_of_the_user():
    state = folded(browse(0, "i1", price=np.e - 1, platform="web"), browse(0, "i1", price=np.e**3 - 1))
    asked = ask(state, State())
    assert asked.log_price.tolist() == pytest.approx([2.0, np.nan], nan_ok=True)
    assert asked.segment.tolist() == [1, -1]


def test_looking_up_adds_no_words():
    ask(folded(browse(0, "new", category="new", brand="new", platform="new")))
    assert [len(words) for words in VOCABULARIES] == [7, 3, 3, 3, 1, 2]


def test_users_do_not_see_each_other():
    states = [
        folded(browse(0, "i1", category="c1"), browse(5, "i2")),
        State(),
        folded(
            event(Search, 0, query="red"), browse(9000, "i3", brand="b1"), event(Dismiss, 0, item_id="i2")
        ),
    ]
    together = ask(*states)
    for i, state in enumerate(states):
        alone = ask(state)
        for column, of_one in zip(together[2:], alone[2:], strict=True):
            np.testing.assert_array_equal(column[i], of_one[0])


def test_no_users_give_empty_arrays():
    asked = ask()
    assert asked.items.shape == (0, 4)
    assert asked.term.shape == (0, 3)
    assert seen([], asked, VOCABULARIES.items).items.shape == (0, 4)


def test_seen_items_carry_the_reason():
    bought = event(Purchase, 0, lines=[Line(item_id="i4"), Line(item_id="gone")])
    states = [folded(bought, browse(9000, "i1"), event(Dismiss, 9000, item_id="i5")), State()]
    found = seen(states, ask(*states), VOCABULARIES.items)
    pairs = zip(found.items[0].tolist(), found.reasons[0].tolist(), strict=True)
    assert {pair for pair in pairs if pair[0] >= 0} == {(1, VIEWED), (4, BOUGHT), (5, DISMISSED)}
    assert (found.items[1] == -1).all()

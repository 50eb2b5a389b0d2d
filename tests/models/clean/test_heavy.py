"""Who does more than the cap allows is told by the state alone, and alike when told again."""

from models.clean.heavy import is_beyond, may_be_heavy
from models.clean.recipe import Cap
from models.interest.fold import fold
from models.interest.settings import InterestSettings
from models.interest.state import State
from schemas import topics
from schemas.events import Browse

CAP = Cap(do="cap", events=3, within_s=10.0)


def look(n: int, time_ms: int) -> Browse:
    return Browse(event_id=f"e{n}", user_id="u", time_ms=time_ms, item_id="a")


def followed(cap: Cap, events: list[Browse], state: State | None = None) -> list[bool]:
    """Whether each is beyond, one after another."""
    state, found = state or State(), []
    for offset, event in enumerate(events):
        found.append(is_beyond(cap, state, event))
        fold(state, [(topics.BROWSE, 0, offset, event)], InterestSettings())
    return found


def test_only_what_comes_after_as_many_as_are_allowed_within_the_span_is_beyond() -> None:
    events = [look(n, n * 1_000) for n in range(5)] + [look(5, 60_000)]
    assert followed(CAP, events) == [False, False, False, True, True, False]


def test_a_redelivery_is_judged_as_before() -> None:
    state, events = State(), [look(n, n * 1_000) for n in range(6)]
    first = followed(CAP, events, state)
    assert [is_beyond(CAP, state, event) for event in events] == first


def test_a_share_by_hash_is_spared() -> None:
    cap = Cap(do="cap", events=1, within_s=1_000.0, keep=0.3)
    found = followed(cap, [look(n, n) for n in range(100)])
    assert 50 < sum(found) < 90  # 99 are beyond, some 30 of them are spared
    assert followed(cap, [look(n, n) for n in range(100)]) == found


def test_few_events_need_no_look() -> None:
    state = State()
    followed(CAP, [look(0, 0)], state)
    assert not may_be_heavy(CAP, state, 2)
    assert may_be_heavy(CAP, state, 3)

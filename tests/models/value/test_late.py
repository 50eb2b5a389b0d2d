"""What comes late is heard once its delay is over, not before, and causes then what it would have caused."""

import pytest

from models.evaluate.prequential import Prequential
from models.value.late import Late
from models.value.weaker import Weaker, thinned
from models.value.withheld import WITHHELD
from schemas.events import AnyEvent, Browse

MINUTE_MS = 60_000


def is_browse(event: AnyEvent) -> bool:
    return isinstance(event, Browse)


class Spy:
    """Notes when it hears of what, by the clock of the log."""

    name = "spy"

    def __init__(self):
        self.heard = []

    def follow(self, events, *, learn):
        self.heard += [event.event_id for event in events]
        return [None for _ in events]


def test_an_event_is_heard_at_its_time_plus_the_delay_and_not_before(view, order):
    spy = Spy()
    late = Late(spy, is_browse, MINUTE_MS)
    looked, bought = view(0, "u", "a"), order(10, "u", "b")
    assert late.follow([looked], learn=True) == [None]
    late.follow([bought], learn=True)
    assert spy.heard == [bought.event_id]
    assert list(late.meanwhile(looked.time_ms + MINUTE_MS - 1)) == []
    assert spy.heard == [bought.event_id]
    list(late.meanwhile(looked.time_ms + MINUTE_MS))
    assert spy.heard == [bought.event_id, looked.event_id]


def test_a_slate_that_came_late_is_tried_by_what_follows_it(view, of_path):
    # v walks a to b; u is at a. Within the minute u has been offered nothing; after it b.
    walk = [view(0, "v", "a"), view(1, "v", "b"), view(100, "u", "a")]
    for second, ranks in ((130, ()), (170, (1,))):
        late = Late(of_path(), is_browse, MINUTE_MS)
        follower = Prequential([late])
        for _ in follower.run([*walk, view(second, "u", "b")]):
            pass
        assert follower.found[0].ranks[-1] == ranks


def test_without_a_delay_nothing_is_lost(shop_log, of_path):
    follower = Prequential([of_path(), Late(of_path(), is_browse, 0)])
    for _ in follower.run(shop_log):
        pass
    on_time, late = follower.found
    assert late.ranks == on_time.ranks


def test_what_follows_does_not_reach_what_was_held_back(shop_log, of_path):
    def ranks(log):
        follower = Prequential([Late(of_path(), is_browse, MINUTE_MS)])
        for _ in follower.run(log):
            pass
        return follower.found[0].ranks

    past = ranks(shop_log[:300])
    assert len(past) > 100
    assert ranks(shop_log)[: len(past)] == past


def test_a_smaller_share_is_part_of_a_larger_and_about_as_large_as_said(shop_log):
    kept = {}
    for share in (0.5, 0.25, 0.1):
        take = thinned(WITHHELD["browse"], share)
        looks = [event for event in shop_log if is_browse(event)]
        kept[share] = {event.event_id for event in map(take, looks) if event is not None}
        assert len(kept[share]) / len(looks) == pytest.approx(share, abs=0.08)
        assert all(take(event) is event for event in shop_log if not is_browse(event))
    assert kept[0.1] < kept[0.25] < kept[0.5]


def test_names_tell_what_is_weaker_apart():
    names = {Weaker("browse", change, at).name for change, at in
             (("withheld", 0.0), ("late", 60.0), ("late", 3600.0), ("thinned", 0.5), ("thinned", 0.05))}  # fmt: skip
    assert len(names) == 5

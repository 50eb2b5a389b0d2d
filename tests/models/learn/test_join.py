from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from xxhash import xxh3_64_intdigest

from models.interest.settings import InterestSettings
from models.kinds import Kind
from models.learn.groups import SCALE, Groups
from models.learn.join import Joined, Joiner, Label
from models.learn.pending import NONE, Pending
from models.learn.settings import LearnSettings
from models.rank.merge import Merged
from schemas.events import (
    AnyEvent,
    Browse,
    Cart,
    Click,
    Dismiss,
    Dwell,
    Impression,
    Line,
    Purchase,
    Rating,
    Search,
    Wishlist,
)

START_MS = 1_700_000_000_000
WINDOW_S = 1_800
LATER_S = WINDOW_S + 1
KEPT = 6
KNOWN = 50
"""Items ``i0`` to ``i49`` are known, their numbers their indexes."""


def digest(name: str) -> int:
    return xxh3_64_intdigest(name.encode())


def index(item_id: str) -> int:
    number = int(item_id[1:])
    return number if number < KNOWN else NONE


@dataclass
class Desk:
    """Slates served at seconds after the start, and events that come in."""

    learn: LearnSettings = field(default_factory=LearnSettings)
    n_slots: int = 8

    def __post_init__(self) -> None:
        self.pending = Pending(self.n_slots, KEPT, 1)
        self._joiner = Joiner(self.pending, self.learn, InterestSettings(), index)
        self._n = 0

    def serve(
        self, slate: str, user: str, at_s: float, shown: Sequence[int], others: Sequence[int] = ()
    ) -> int:
        """A slate of items ``shown`` out of these and ``others``, each with a feature of its own."""
        items = [*shown, *others]
        rows = np.full((1, len(shown) + 1), -1, np.int64)
        rows[0, : len(shown)] = range(len(shown))
        n = len(items)
        merged = Merged(
            np.array([0, n]),
            np.array(items, np.int32),
            np.zeros(n, np.int32),
            np.ones((n, 1), np.float32),
            np.full((n, 1), -1, np.int32),
            np.zeros((n, 1), np.int32),
        )
        self.pending.put(
            [digest(slate)],
            [digest(user)],
            np.array([START_MS + int(at_s * 1_000)], np.int64),
            merged,
            np.array(items, np.float32)[:, None] / 16.0,
            np.ones(n, np.float32),
            rows,
        )
        return self.pending.by_slate[digest(slate)]

    def event(self, kind: Callable[..., AnyEvent], user: str, at_s: float, **more: Any) -> AnyEvent:
        self._n += 1
        return kind(
            event_id=f"e{self._n}",
            user_id=user,
            time_ms=START_MS + int(at_s * 1_000),
            schema_version=1,
            **more,
        )

    def join(self, *events: AnyEvent) -> Joined:
        return self._joiner.join([(3, event) for event in events])

    def take(self, kind: Callable[..., AnyEvent], user: str, at_s: float, **more: Any) -> Joined:
        return self.join(self.event(kind, user, at_s, **more))

    def one(self, kind: Callable[..., AnyEvent], user: str, at_s: float, **more: Any) -> Label:
        (label,) = self.take(kind, user, at_s, **more).labels
        return label


@pytest.fixture
def desk() -> Desk:
    """Ann was served i1 and i2 out of i1 to i4 at the start, and at 100 s i3 and i5 out of i1, i3 and i5."""
    made = Desk()
    made.serve("first", "ann", 0, [1, 2], [3, 4])
    made.serve("second", "ann", 100, [3, 5], [1])
    return made


def of_slate(desk: Desk, label: Label) -> str:
    names = {digest(name): name for name in ("first", "second", "bobs", "own")}
    return names[desk.pending.slate_of[label.slot] or 0]


def items(groups: Groups, g: int = 0) -> list[int]:
    """Of a list, by their features."""
    found: list[int] = np.round(groups.features(g, slice(int(groups.n[g])))[:, 0] * 16.0).astype(int).tolist()
    return found


class TestWhichSlateAnInteractionAnswers:
    def test_the_one_that_it_names(self, desk: Desk) -> None:
        label = desk.one(Click, "ann", 200, item_id="i1", slate_id="first")
        assert (of_slate(desk, label), label.place, label.attributed) == ("first", 0, True)

    def test_the_one_that_it_names_however_late(self, desk: Desk) -> None:
        label = desk.one(Browse, "ann", 10 * LATER_S, item_id="i2", slate_id="first")
        assert (of_slate(desk, label), label.place, label.attributed) == ("first", 1, True)

    def test_the_one_that_it_names_without_an_item_that_was_not_shown_in_it(self, desk: Desk) -> None:
        candidate = desk.one(Click, "ann", 200, item_id="i3", slate_id="first")
        assert (of_slate(desk, candidate), candidate.place, candidate.attributed) == ("first", 2, False)
        stranger = desk.one(Click, "ann", 200, item_id="i9", slate_id="first")
        assert (of_slate(desk, stranger), stranger.place, stranger.attributed) == ("first", NONE, False)

    def test_a_slate_of_somebody_else_is_as_good_as_none(self, desk: Desk) -> None:
        desk.serve("bobs", "bob", 100, [1])
        label = desk.one(Click, "ann", 200, item_id="i1", slate_id="bobs")
        assert (of_slate(desk, label), label.place, label.attributed) == ("second", 2, False)

    def test_a_slate_that_is_no_longer_known_is_as_good_as_none(self, desk: Desk) -> None:
        label = desk.one(Click, "ann", 200, item_id="i3", slate_id="long ago")
        assert (of_slate(desk, label), label.attributed) == ("second", False)

    def test_the_one_that_was_last_seen_if_the_item_was_chosen_from_it_before(self, desk: Desk) -> None:
        desk.take(Impression, "ann", 110, item_ids=["i1", "i2"], slate_id="first")
        desk.take(Click, "ann", 120, item_id="i1", slate_id="first")
        label = desk.one(Cart, "ann", 200, item_id="i1")
        assert (of_slate(desk, label), label.place, label.attributed) == ("first", 0, True)

    def test_a_look_that_names_no_slate_was_no_choice_from_the_seen_one(self, desk: Desk) -> None:
        desk.take(Impression, "ann", 110, item_ids=["i1", "i2"], slate_id="first")
        label = desk.one(Browse, "ann", 200, item_id="i1")
        assert (of_slate(desk, label), label.place, label.attributed) == ("second", 2, False)

    def test_the_latest_if_the_seen_one_does_not_show_the_item(self, desk: Desk) -> None:
        desk.take(Impression, "ann", 110, item_ids=["i1", "i2"], slate_id="first")
        label = desk.one(Browse, "ann", 200, item_id="i3")  # a candidate of both, shown in the second
        assert (of_slate(desk, label), label.place, label.attributed) == ("second", 0, False)

    @pytest.mark.parametrize(("after_s", "slate"), [(WINDOW_S, "first"), (LATER_S, "second")])
    def test_the_seen_one_within_the_window_only(self, desk: Desk, after_s: int, slate: str) -> None:
        desk.take(Impression, "ann", 110, item_ids=["i1"], slate_id="first")
        desk.take(Click, "ann", 120, item_id="i1", slate_id="first")
        assert of_slate(desk, desk.one(Cart, "ann", after_s, item_id="i1")) == slate

    def test_the_latest_for_what_was_wanted_next(self, desk: Desk) -> None:
        label = desk.one(Browse, "ann", 200, item_id="i5")
        assert (of_slate(desk, label), label.place, label.attributed) == ("second", 1, False)
        assert (label.kind, label.item, label.reward) == (Kind.VIEW, 5, 1.0)
        assert (label.user, label.partition, label.time_ms) == (digest("ann"), 3, START_MS + 200_000)

    def test_none_that_came_after_it(self, desk: Desk) -> None:
        assert desk.take(Browse, "ann", 99.999, item_id="i5").labels == []
        desk.take(Impression, "ann", 110, item_ids=["i3"], slate_id="second")
        assert desk.take(Browse, "ann", 99.999, item_id="i3").labels == []

    def test_one_that_came_in_the_same_millisecond(self, desk: Desk) -> None:
        assert desk.one(Browse, "ann", 100, item_id="i5").place == 1

    def test_none_where_nothing_was_served(self, desk: Desk) -> None:
        assert desk.take(Browse, "bob", 200, item_id="i5").labels == []
        assert desk.take(Impression, "bob", 200, item_ids=["i5"]).labels == []

    @pytest.mark.parametrize("item", ["i9", "i99"])
    def test_what_was_no_candidate_is_a_miss_and_teaches_nothing(self, desk: Desk, item: str) -> None:
        joined = desk.take(Browse, "ann", 200, item_id=item)
        (label,) = joined.labels
        assert (label.place, label.attributed, label.item) == (NONE, False, index(item))
        assert (joined.of, len(joined.groups.n)) == ([], 0)

    def test_forgotten_items_are_no_candidates_any_more(self, desk: Desk) -> None:
        desk.pending.forget(np.array([5], np.int32))
        assert desk.one(Browse, "ann", 200, item_id="i5").place == NONE
        assert desk.one(Browse, "ann", 200, item_id="i99").place == NONE


class TestBeyondTheWindow:
    def test_the_first_interaction_still_answers(self, desk: Desk) -> None:
        assert desk.one(Browse, "ann", 100 + LATER_S, item_id="i5").place == 1
        assert desk.take(Browse, "ann", 100 + LATER_S, item_id="i3").labels == []

    def test_the_first_one_is_first_even_where_it_was_no_candidate(self, desk: Desk) -> None:
        assert desk.one(Browse, "ann", 100 + LATER_S, item_id="i9").place == NONE
        assert desk.take(Browse, "ann", 100 + LATER_S, item_id="i3").labels == []

    def test_nothing_answers_what_was_answered_within_it(self, desk: Desk) -> None:
        desk.take(Browse, "ann", 200, item_id="i5")
        assert desk.take(Browse, "ann", 100 + LATER_S, item_id="i3").labels == []

    def test_within_it_all_answer(self, desk: Desk) -> None:
        assert desk.one(Browse, "ann", 200, item_id="i5").place == 1
        assert desk.one(Browse, "ann", 100 + WINDOW_S, item_id="i3").place == 0


class TestRewards:
    @pytest.mark.parametrize(
        ("kind", "more", "reward"),
        [(Browse, {}, 1.0), (Click, {}, 1.0), (Cart, {}, 3.0), (Wishlist, {}, 2.0)],
    )
    def test_an_interaction_counts_by_its_kind(
        self, desk: Desk, kind: Callable[..., AnyEvent], more: dict[str, Any], reward: float
    ) -> None:
        joined = desk.take(kind, "ann", 200, item_id="i5", **more)
        assert [label.reward for label in joined.labels] == joined.groups.weight.tolist() == [reward]

    @pytest.mark.parametrize(("dwell_ms", "reward"), [(0, 0.25), (20_000, 0.5), (60_000, 0.625)])
    def test_dwell_counts_by_its_length(self, desk: Desk, dwell_ms: int, reward: float) -> None:
        # 0.5 for the kind, times 1/2 + d / (d + 20 s)
        assert desk.one(Dwell, "ann", 200, item_id="i5", dwell_ms=dwell_ms).reward == pytest.approx(reward)

    def test_each_line_of_an_order_counts(self, desk: Desk) -> None:
        lines = [Line(item_id="i5"), Line(item_id="i3"), Line(item_id="i9"), Line(item_id="i5")]
        joined = desk.take(Purchase, "ann", 200, lines=lines)
        assert [(label.place, label.reward) for label in joined.labels] == [(1, 5.0), (0, 5.0), (NONE, 5.0)]
        assert joined.of == [0, 1]
        assert joined.groups.target.tolist() == [1, 0]

    def test_what_counts_nothing_teaches_nothing_and_answers_nothing(self) -> None:
        desk = Desk(LearnSettings(rewards={"view": 0.0, "cart": 2.0}))
        desk.serve("first", "ann", 0, [1, 2])
        assert desk.take(Browse, "ann", LATER_S, item_id="i1").labels == []
        assert desk.take(Rating, "ann", LATER_S, item_id="i1", rating=1.0).labels == []
        assert desk.take(Search, "ann", LATER_S, query="red").labels == []
        assert desk.one(Cart, "ann", LATER_S, item_id="i1").reward == 2.0

    def test_a_purchase_after_a_view_adds_the_difference_only(self, desk: Desk) -> None:
        assert desk.one(Browse, "ann", 200, item_id="i5").reward == 1.0
        assert desk.one(Cart, "ann", 210, item_id="i5").reward == 2.0
        assert desk.one(Purchase, "ann", 220, lines=[Line(item_id="i5")]).reward == 2.0
        assert desk.one(Browse, "ann", 230, item_id="i3").reward == 1.0  # another candidate

    def test_the_same_view_twice_and_less_after_more_teach_once(self, desk: Desk) -> None:
        desk.take(Cart, "ann", 200, item_id="i5")
        assert desk.take(Cart, "ann", 210, item_id="i5").labels == []
        assert desk.take(Browse, "ann", 220, item_id="i5").labels == []

    def test_a_dismissal_weighs_below_0_once(self, desk: Desk) -> None:
        joined = desk.take(Dismiss, "ann", 200, item_id="i5")
        (label,) = joined.labels
        assert (label.kind, label.place, label.reward) == (Kind.DISMISS, 1, 1.0)
        assert joined.groups.weight.tolist() == [-1.0]
        assert desk.take(Dismiss, "ann", 210, item_id="i5").labels == []

    def test_a_dismissal_takes_the_place_of_what_was_learned_and_the_other_way_round(
        self, desk: Desk
    ) -> None:
        desk.take(Cart, "ann", 200, item_id="i5")
        assert desk.take(Dismiss, "ann", 210, item_id="i5").groups.weight.tolist() == [-1.0]
        assert desk.take(Cart, "ann", 220, item_id="i5").groups.weight.tolist() == [3.0]

    def test_a_dismissal_counts_as_much_as_a_click(self) -> None:
        desk = Desk(LearnSettings(rewards={"click": 4.0}))
        desk.serve("first", "ann", 0, [1, 2])
        assert desk.take(Dismiss, "ann", 10, item_id="i1").groups.weight.tolist() == [-4.0]


class TestImpressions:
    def test_a_slate_that_was_shown_is_a_list_without_a_target(self, desk: Desk) -> None:
        joined = desk.take(Impression, "ann", 110, item_ids=["i3", "i5"], slate_id="second")
        (label,) = joined.labels
        assert (label.kind, label.place, label.item, label.attributed) == (Kind.IMPRESSION, NONE, NONE, True)
        assert (joined.groups.target.tolist(), joined.groups.weight.tolist()) == ([-1], [1.0])
        assert (items(joined.groups), joined.groups.seen.tolist()) == ([3, 5], [1])

    def test_what_was_not_shown_of_it_does_not_take_part(self, desk: Desk) -> None:
        joined = desk.take(Impression, "ann", 110, item_ids=["i3"], slate_id="second")
        assert items(joined.groups) == [3]
        label = desk.one(Click, "ann", 200, item_id="i5", slate_id="second")
        assert (label.place, label.attributed) == (1, False)

    def test_what_was_skipped_above_a_shown_item_was_shown(self, desk: Desk) -> None:
        assert items(desk.take(Impression, "ann", 110, item_ids=["i5"], slate_id="second").groups) == [3, 5]

    def test_the_same_impression_twice_teaches_once(self, desk: Desk) -> None:
        assert len(desk.take(Impression, "ann", 110, item_ids=["i3"], slate_id="second").labels) == 1
        assert desk.take(Impression, "ann", 120, item_ids=["i3"], slate_id="second").labels == []
        # Nor does going back and forth between two slates.
        assert len(desk.take(Impression, "ann", 130, item_ids=["i1"], slate_id="first").labels) == 1
        assert desk.take(Impression, "ann", 140, item_ids=["i3"], slate_id="second").labels == []

    def test_further_down_the_slate_more_is_shown(self, desk: Desk) -> None:
        desk.take(Impression, "ann", 110, item_ids=["i3"], slate_id="second")
        desk.take(Impression, "ann", 120, item_ids=["i5"], slate_id="second")
        assert desk.one(Click, "ann", 130, item_id="i5", slate_id="second").attributed
        desk.take(Impression, "ann", 140, item_ids=["i3"], slate_id="second")
        joined = desk.take(Cart, "ann", 150, item_id="i5", slate_id="second")
        assert (joined.labels[0].attributed, items(joined.groups)) == (True, [3, 5])

    def test_candidates_that_are_not_of_the_slate_are_not_shown_by_it(self, desk: Desk) -> None:
        joined = desk.take(Impression, "ann", 110, item_ids=["i3", "i1", "i99"], slate_id="second")
        assert items(joined.groups) == [3]

    def test_a_slate_of_which_only_other_candidates_are_told_was_not_shown(self, desk: Desk) -> None:
        assert desk.take(Impression, "ann", 110, item_ids=["i1"], slate_id="second").labels == []
        assert desk.take(Impression, "ann", 110, item_ids=["i99"], slate_id="second").labels == []
        assert desk.pending.seen == {}
        # So that a choice from it still is one from all of it.
        assert desk.one(Click, "ann", 120, item_id="i3", slate_id="second").attributed

    def test_of_which_nothing_is_known_nothing_is_learned(self, desk: Desk) -> None:
        assert desk.take(Impression, "ann", 110, item_ids=["i99"], slate_id="second").labels == []
        assert desk.take(Impression, "ann", 110, item_ids=["i3"], slate_id="long ago").labels == []
        assert desk.pending.seen == {}

    def test_of_somebody_elses_slate_nothing_is_learned(self, desk: Desk) -> None:
        desk.serve("bobs", "bob", 100, [1])
        assert desk.take(Impression, "ann", 110, item_ids=["i1"], slate_id="bobs").labels == []
        assert desk.pending.seen == {}

    def test_a_choice_from_a_shown_slate_is_among_what_was_shown_and_corrects(self, desk: Desk) -> None:
        desk.take(Impression, "ann", 110, item_ids=["i3", "i5"], slate_id="second")
        joined = desk.take(Click, "ann", 120, item_id="i5", slate_id="second")
        assert (items(joined.groups), joined.groups.target.tolist()) == ([3, 5], [1])
        assert (joined.groups.learned.tolist(), joined.groups.seen.tolist()) == ([1], [1])

    def test_a_choice_from_a_slate_that_nobody_said_was_shown_is_from_all_of_it(self, desk: Desk) -> None:
        joined = desk.take(Click, "ann", 120, item_id="i5", slate_id="second")
        assert (items(joined.groups), joined.labels[0].attributed) == ([3, 5], True)
        assert (joined.groups.learned.tolist(), joined.groups.seen.tolist()) == ([0], [0])

    def test_it_corrects_once(self, desk: Desk) -> None:
        desk.take(Impression, "ann", 110, item_ids=["i3", "i5"], slate_id="second")
        clicked = desk.take(Click, "ann", 120, item_id="i5", slate_id="second").groups
        carted = desk.take(Cart, "ann", 130, item_id="i5").groups
        other = desk.take(Click, "ann", 140, item_id="i3", slate_id="second").groups
        assert [groups.learned.tolist() for groups in (clicked, carted, other)] == [[1], [0], [1]]
        assert [groups.seen.tolist() for groups in (clicked, carted, other)] == [[1]] * 3
        kinds = [groups.kind.tolist() for groups in (clicked, carted, other)]
        assert kinds == [[Kind.CLICK], [Kind.CART], [Kind.CLICK]]

    def test_it_corrects_though_another_slate_was_seen_since(self, desk: Desk) -> None:
        desk.take(Impression, "ann", 110, item_ids=["i1", "i2"], slate_id="first")
        desk.take(Impression, "ann", 120, item_ids=["i3"], slate_id="second")
        joined = desk.take(Click, "ann", 130, item_id="i2", slate_id="first")
        assert joined.groups.learned.tolist() == [1]

    def test_what_is_wanted_next_is_among_all_candidates_and_corrects_nothing(self, desk: Desk) -> None:
        desk.take(Impression, "ann", 110, item_ids=["i3", "i5"], slate_id="second")
        joined = desk.take(Browse, "ann", 120, item_id="i1")
        assert (items(joined.groups), joined.groups.target.tolist()) == ([3, 5, 1], [2])
        assert (joined.groups.learned.tolist(), joined.groups.seen.tolist()) == ([0], [0])


class TestTheShopsOwnLists:
    def test_are_learned_of_as_far_as_their_items_were_candidates(self, desk: Desk) -> None:
        joined = desk.take(Impression, "ann", 110, item_ids=["i9", "i1", "i99", "i3"])
        assert items(joined.groups) == [1, 3]
        assert (joined.groups.target.tolist(), joined.labels[0].attributed) == ([-1], True)

    def test_choices_from_them_belong_to_them_and_others_to_the_slate(self, desk: Desk) -> None:
        shown = desk.one(Impression, "ann", 110, item_ids=["i1", "i3"])
        chosen = desk.take(Browse, "ann", 120, item_id="i3")
        assert chosen.labels[0].slot == shown.slot
        assert (items(chosen.groups), chosen.groups.target.tolist()) == ([1, 3], [1])
        assert chosen.groups.learned.tolist() == [1]
        assert of_slate(desk, desk.one(Browse, "ann", 130, item_id="i5")) == "second"

    def test_age_by_their_own_time(self, desk: Desk) -> None:
        shown = desk.one(Impression, "ann", 1_000, item_ids=["i1", "i3"])
        assert desk.one(Browse, "ann", 1_000 + WINDOW_S, item_id="i3").slot == shown.slot

    def test_before_the_slate_or_long_after_an_answered_one_teach_nothing(self, desk: Desk) -> None:
        assert desk.take(Impression, "ann", 99, item_ids=["i3"]).labels == []
        desk.take(Browse, "ann", 200, item_id="i5")
        assert desk.take(Impression, "ann", 100 + LATER_S, item_ids=["i3"]).labels == []

    def test_of_which_nothing_was_a_candidate_take_no_room(self, desk: Desk) -> None:
        assert desk.take(Impression, "ann", 110, item_ids=["i9", "i99"]).labels == []
        assert len(desk.pending) == 2


class TestOneBatch:
    def test_an_impression_that_comes_later_does_not_change_what_was_chosen_before(self, desk: Desk) -> None:
        desk.take(Impression, "ann", 105, item_ids=["i3", "i5"], slate_id="second")
        desk.serve("bobs", "bob", 0, [7, 8, 9])
        joined = desk.join(
            desk.event(Click, "bob", 110, item_id="i9", slate_id="bobs"),
            desk.event(Impression, "bob", 111, item_ids=["i7"], slate_id="bobs"),
        )
        # Chosen from a slate of three, of which only one was seen: the choice keeps its list.
        assert joined.groups.n.tolist() == [3, 1]
        assert joined.groups.target.tolist() == [2, -1]

    def test_lists_keep_what_they_held_when_their_slots_are_used_again(self) -> None:
        desk = Desk(n_slots=2)
        desk.serve("bobs", "bob", 0, [7, 8], [9])
        desk.serve("second", "ann", 20, [3, 5], [1])
        joined = desk.join(
            desk.event(Browse, "bob", 30, item_id="i8"),
            desk.event(Impression, "ann", 40, item_ids=["i5", "i1"]),  # takes the slot of bob's slate
        )
        assert [label.slot for label in joined.labels] == [0, 0]
        assert [items(joined.groups, g) for g in (0, 1)] == [[7, 8, 9], [5, 1]]
        assert desk.take(Browse, "bob", 50, item_id="i7").labels == []  # his slate is gone

    def test_lists_and_labels_go_together(self, desk: Desk) -> None:
        joined = desk.join(
            desk.event(Browse, "ann", 110, item_id="i9"),
            desk.event(Impression, "ann", 120, item_ids=["i3"], slate_id="second"),
            desk.event(Browse, "ann", 130, item_id="i3"),
        )
        assert [label.kind for label in joined.labels] == [Kind.VIEW, Kind.IMPRESSION, Kind.VIEW]
        assert joined.of == [1, 2]
        assert joined.groups.target.tolist() == [-1, 0]
        assert joined.groups.x.shape == (2, KEPT, 1)

    def test_nothing_gives_empty_lists_of_the_same_shape(self, desk: Desk) -> None:
        groups = desk.join().groups
        assert groups.x.shape == (0, KEPT, 1)
        assert {len(column) for column in groups} == {0}
        assert groups.chances.shape == (0, KEPT)
        assert groups.x.dtype == np.int16

    def test_features_are_those_that_were_served(self, desk: Desk) -> None:
        groups = desk.take(Browse, "ann", 200, item_id="i5").groups
        assert groups.x[0, :3, 0].tolist() == [round(i / 16.0 / SCALE) for i in (3, 5, 1)]


@pytest.mark.parametrize(("share", "low", "high"), [(0.0, 0, 0), (0.1, 60, 140), (1.0, 1_000, 1_000)])
def test_the_share_of_users_is_sampled_whole(share: float, low: int, high: int) -> None:
    desk = Desk(LearnSettings(challenger_share=share), n_slots=1_000)
    sampled = []
    for i in range(1_000):
        desk.serve(f"s{i}", f"u{i}", 0, [1, 2])
        twice = desk.join(
            desk.event(Browse, f"u{i}", 1, item_id="i1"), desk.event(Browse, f"u{i}", 2, item_id="i2")
        )
        assert len(set(twice.groups.sampled.tolist())) == 1
        sampled.append(int(twice.groups.sampled[0]))
    assert low <= sum(sampled) <= high


def test_rewards_stand_beside_the_usual_ones_and_only_for_kinds_that_exist() -> None:
    assert LearnSettings(rewards={"purchase": 9.0}).rewards["purchase"] == 9.0
    assert LearnSettings(rewards={"purchase": 9.0}).rewards["click"] == 1.0
    with pytest.raises(ValidationError, match="purchse"):
        LearnSettings.model_validate({"rewards": {"purchse": 9.0}})

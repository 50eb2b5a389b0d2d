"""The path with learning: slates, what comes of them, and what that changes in the next ones."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pytest

from models.absorb import Absorbed
from models.ingest.settings import IngestSettings
from models.interest.fold import Outcome
from models.interest.settings import InterestSettings
from models.kinds import Kind
from models.knowledge.settings import KnowledgeSettings
from models.learn.join import Joined
from models.learn.learning import Learned, Learning
from models.learn.settings import LearnSettings
from models.path import EXAMPLE_MS, Path
from models.path_settings import PathSettings
from models.rank.explore_settings import ExploreSettings
from models.rank.settings import RankSettings
from models.retrieve.settings import CovisitationSettings, RetrieveSettings, SessionKnnSettings
from schemas import topics
from schemas.catalog import Item
from schemas.events import AnyEvent, Browse, Cart, Click, Dismiss, Impression, Search
from schemas.outputs import Slate

NOW_MS = EXAMPLE_MS + 1_000_000
DAY_MS = 86_400_000
LENGTH = 8
SMALL = PathSettings(
    ingest=IngestSettings(),
    interest=InterestSettings(),
    knowledge=KnowledgeSettings(
        max_items=64, max_categories=8, max_brands=8, max_terms=64, max_queries=16, max_segments=8
    ),
    retrieve=RetrieveSettings(
        session_knn=SessionKnnSettings(n_blocks=256, n_sessions=64),
        covisitation=CovisitationSettings(n_sessions=64),
    ),
    learn=LearnSettings(max_pending=64),
    rank=RankSettings(),
    slate_length=LENGTH,
    n_candidates=50,
)
FIXED = SMALL._replace(learn=LearnSettings(enabled=False))


class Given(NamedTuple):
    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


class Step(NamedTuple):
    """One micro-batch through the whole path."""

    absorbed: Absorbed
    joined: Joined | None
    learned: Learned | None
    slates: list[Slate]


@dataclass
class Shop:
    """A path, all of whose events come in partition 3, with the states and offsets that its caller keeps."""

    settings: PathSettings = SMALL
    stored: dict[bytes, bytes] = field(default_factory=dict)
    ends: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.path = Path(self.settings)
        self._n = 0

    @property
    def learning(self) -> Learning:
        assert self.path.learning is not None
        return self.path.learning

    def event(self, kind: Callable[..., AnyEvent], user: str, **more: Any) -> AnyEvent:
        """The next one, a second after the one before."""
        self._n += 1
        head = {"event_id": f"e{self._n}", "user_id": user, "time_ms": EXAMPLE_MS + 1_000 * self._n}
        return kind(**{**head, **more})

    def records(self, *events: AnyEvent) -> list[Given]:
        made = []
        for event in events:
            topic = topics.of_event(event)
            offset = self.ends.get(topic, 0)
            self.ends[topic] = offset + 1
            value = msgspec.json.encode(event)
            made.append(Given(topic, 3, offset, event.time_ms, event.user_id.encode(), value))
        return made

    def step(self, records: Sequence[Given]) -> Step:
        absorbed = self.path.absorb([records], lambda _, keys: [self.stored.get(k) for k in keys], NOW_MS)
        self.stored.update(absorbed.states.get(3, []))
        joined = self.path.join(absorbed)
        learned = self.path.learn(joined)
        return Step(
            absorbed, joined, learned, [each.slate for each in self.path.serve(absorbed.causes, NOW_MS)]
        )

    def take(self, kind: Callable[..., AnyEvent], user: str, **more: Any) -> Step:
        return self.step(self.records(self.event(kind, user, **more)))

    def slate(self, kind: Callable[..., AnyEvent], user: str, **more: Any) -> Slate:
        (slate,) = self.take(kind, user, **more).slates
        return slate

    def weights(self) -> bytes:
        """Of all scorers."""
        return b"".join(estimator.weights.tobytes() for estimator in self.learning.estimators.values())


def n_learned(slate: Slate) -> int:
    """Lists that what made it had learned."""
    return int(slate.model_version.rpartition("+")[2])


def ids(slate: Slate) -> list[str]:
    return [item.item_id for item in slate.items]


CATEGORIES = {"a": "shoes", "b": "shoes", "c": "shoes", "d": "hats", "e": "hats", "f": "hats"}
"""And of each category a brand of its own."""


def busy(settings: PathSettings = SMALL) -> Shop:
    """Twelve shoppers have each viewed a to f in one session."""
    shop = Shop(settings)
    long_ago = EXAMPLE_MS - 30 * DAY_MS
    for item, category in CATEGORIES.items():
        described = Item(item_id=item, time_ms=long_ago, category=category, brand=f"{category}er", price=5.0)
        shop.path.knowledge.describe([(item, described)])
    for i in range(12):
        for item in CATEGORIES:
            shop.take(Browse, f"regular{i}", item_id=item)
    return shop


def scores(slate: Slate) -> dict[str, float]:
    return {item.item_id: item.score for item in slate.items}


class TestDismissal:
    def before_and_after(self, settings: PathSettings) -> tuple[Slate, Slate]:
        """Ann, who came with a search, before and after she dismisses a."""
        shop = busy(settings)
        before = shop.slate(Search, "ann", query="anything")
        return before, shop.slate(Dismiss, "ann", item_id="a", slate_id=before.slate_id)

    @pytest.mark.parametrize("settings", [SMALL, FIXED], ids=["learning", "fixed"])
    def test_the_item_is_gone_from_the_very_next_slate(self, settings: PathSettings) -> None:
        before, after = self.before_and_after(settings)
        assert set(ids(before)) == set("abcdef")
        assert set(ids(after)) == set("bcdef")

    @pytest.mark.parametrize("settings", [SMALL, FIXED], ids=["learning", "fixed"])
    def test_items_of_its_category_and_brand_rank_lower_than_before(self, settings: PathSettings) -> None:
        before, after = self.before_and_after(settings)
        left = [item for item in ids(before) if item != "a"]
        assert set(left[3:]) != set("bc")
        assert set(ids(after)[3:]) == set("bc")

    def test_they_keep_half_of_their_score_by_default(self) -> None:
        before, after = (scores(slate) for slate in self.before_and_after(FIXED))
        # Of one category, brand and price similarity is 1: a share of 0.5 leaves 1 - 0.5 * 1.
        assert [after[item] / before[item] for item in "bc"] == pytest.approx([0.5] * 2, rel=1e-3)
        # The hats have the price in common, similarity 0.2: 1 - 0.5 * 0.2.
        assert [after[item] / before[item] for item in "def"] == pytest.approx([0.9] * 3, rel=1e-3)

    def test_a_share_of_0_sinks_nothing(self) -> None:
        before, after = self.before_and_after(FIXED._replace(rank=RankSettings(dismissal=0.0)))
        assert ids(after) == [item for item in ids(before) if item != "a"]

    def test_a_share_of_1_leaves_them_at_the_end(self) -> None:
        _, after = self.before_and_after(FIXED._replace(rank=RankSettings(dismissal=1.0)))
        assert set(ids(after)[3:]) == set("bc")

    def slate_of_bob(self, settings: PathSettings, ann_dismisses: bool) -> Slate:
        shop = busy(settings)
        shop.take(Search, "ann", query="anything")
        shop.take(Browse, "bob", item_id="f")
        if ann_dismisses:
            shop.take(Dismiss, "ann", item_id="a")
        last_ms = EXAMPLE_MS + 200_000
        return shop.slate(Search, "bob", query="else", event_id="of-bob", time_ms=last_ms)

    def test_the_slates_of_others_stay_as_they_were(self) -> None:
        without, after = (self.slate_of_bob(FIXED, dismisses) for dismisses in (False, True))
        assert after == without
        assert "a" in ids(after)

    def test_what_it_teaches_takes_nothing_from_the_slates_of_others(self) -> None:
        without, after = (self.slate_of_bob(SMALL, dismisses) for dismisses in (False, True))
        assert set(ids(after)) == set(ids(without)) == set("abcde")

    def test_it_teaches_the_scorer_against_the_item(self) -> None:
        shop = busy()
        before = shop.slate(Search, "ann", query="anything")
        learned = shop.take(Dismiss, "ann", item_id="a", slate_id=before.slate_id).learned
        assert learned is not None
        (label,) = learned.joined.labels
        assert (label.kind, label.attributed) == (Kind.DISMISS, True)
        assert learned.joined.groups.weight.tolist() == [-label.reward]


class TestOutcomes:
    def test_a_click_teaches_and_counts_in_the_version_of_the_next_slate(self) -> None:
        shop = busy()
        slate = shop.slate(Browse, "ann", item_id="a")
        n, weights = n_learned(slate), shop.weights()
        step = shop.take(Click, "ann", item_id=ids(slate)[1], slate_id=slate.slate_id)
        assert step.joined is not None
        (label,) = step.joined.labels
        assert (label.kind, label.place, label.attributed, label.corrects) == (Kind.CLICK, 1, True, False)
        assert shop.weights() != weights
        assert n_learned(step.slates[0]) == n + 1

    def test_a_slate_that_was_shown_is_a_list_of_its_own_that_the_click_corrects(self) -> None:
        shop = busy()
        slate = shop.slate(Browse, "ann", item_id="a")
        shown = shop.take(Impression, "ann", item_ids=ids(slate), slate_id=slate.slate_id)
        assert (shown.slates, shown.learned is None) == ([], False)
        step = shop.take(Click, "ann", item_id=ids(slate)[0], slate_id=slate.slate_id)
        assert step.joined is not None
        assert [label.corrects for label in step.joined.labels] == [True]
        assert n_learned(step.slates[0]) == n_learned(slate) + 2

    def test_without_learning_the_fixed_weights_serve(self) -> None:
        shop = busy(FIXED)
        slate = shop.slate(Browse, "ann", item_id="a")
        step = shop.take(Click, "ann", item_id="b", slate_id=slate.slate_id)
        assert (step.joined, step.learned) == (None, None)
        assert step.slates[0].model_version == slate.model_version
        assert slate.model_version.startswith("fixed-")

    def test_replayed_events_teach_nothing_a_second_time(self) -> None:
        shop = busy()
        slate = shop.slate(Browse, "ann", item_id="a")
        records = shop.records(
            shop.event(Click, "ann", item_id=ids(slate)[0], slate_id=slate.slate_id),
            shop.event(Cart, "ann", item_id=ids(slate)[0], slate_id=slate.slate_id),
            shop.event(Impression, "ann", item_ids=ids(slate), slate_id=slate.slate_id),
        )
        before = shop.weights()
        first = shop.step(records)
        assert first.joined is not None
        assert [label.kind for label in first.joined.labels] == [Kind.CLICK, Kind.CART, Kind.IMPRESSION]
        weights, version = shop.weights(), shop.path.model_version
        assert weights != before
        shop.learning.records()
        again = shop.step(records)
        assert again.absorbed.outcomes == [Outcome.REPLAYED] * 3
        assert again.joined is not None
        assert (again.joined.labels, again.learned) == ([], None)
        assert (shop.weights(), shop.path.model_version) == (weights, version)
        assert shop.learning.records() == []
        assert [slate.slate_id for slate in again.slates] == [slate.slate_id for slate in first.slates]

    def test_a_duplicate_teaches_nothing(self) -> None:
        shop = busy()
        slate = shop.slate(Browse, "ann", item_id="a")
        click = shop.event(Click, "ann", item_id=ids(slate)[0], slate_id=slate.slate_id)
        shop.step(shop.records(click))
        weights = shop.weights()
        again = shop.step(shop.records(click))
        assert again.absorbed.outcomes == [Outcome.DUPLICATE]
        assert again.learned is None
        assert shop.weights() == weights


class TestEviction:
    def test_an_item_that_was_evicted_gets_no_label_nor_does_what_has_its_index_now(self) -> None:
        shop = busy()
        slate = shop.slate(Browse, "ann", item_id="a")
        gone, words = "b", shop.path.knowledge.vocabularies.items
        assert gone in ids(slate)
        index, n = words.index(gone), 0
        while words.index(gone) >= 0 or words.word(index) in (gone, None):
            others = [Item(item_id=f"new{n + i}", time_ms=EXAMPLE_MS) for i in range(8)]
            shop.path.knowledge.describe([(item.item_id, item) for item in others])
            n += 8
            assert n < 200, "it is never evicted"
        heir = words.word(index)
        assert heir is not None
        for item in (heir, gone):
            joined = shop.take(Click, "ann", item_id=item, slate_id=slate.slate_id).joined
            assert joined is not None
            assert [(label.place, label.attributed) for label in joined.labels] == [(-1, False)]
            assert len(joined.groups.n) == 0


class TestExploration:
    PLACES = 3

    def shop(self, **explore: Any) -> Shop:
        """Twelve items long known, and twenty that came today and that nobody viewed yet but one."""
        of = ExploreSettings(policy="epsilon", places=self.PLACES, epsilon=0.5).model_copy(update=explore)
        shop = Shop(SMALL._replace(rank=RankSettings(explore=of)))
        old = [Item(item_id=f"old{i}", time_ms=EXAMPLE_MS - 30 * DAY_MS) for i in range(12)]
        new = [Item(item_id=f"new{i}", time_ms=EXAMPLE_MS - 3_600_000) for i in range(20)]
        shop.path.knowledge.describe([(item.item_id, item) for item in old + new])
        for i in range(12):
            for item in old:
                shop.take(Browse, f"regular{i}", item_id=item.item_id)
        for item in new:
            shop.take(Browse, "curious", item_id=item.item_id)
        return shop

    def slates(self, shop: Shop, n: int = 40) -> list[Slate]:
        return [shop.slate(Search, f"user{i}", query="anything") for i in range(n)]

    @pytest.mark.parametrize("policy", ["epsilon", "thompson", "linucb"])
    def test_only_the_last_places_have_propensities(self, policy: str) -> None:
        for slate in self.slates(self.shop(policy=policy), 10):
            head, tail = slate.items[: -self.PLACES], slate.items[-self.PLACES :]
            assert len(slate.items) == LENGTH
            assert [item.propensity for item in head] == [None] * len(head)
            assert all(item.propensity is not None and 0.0 < item.propensity < 1.0 for item in tail)

    def test_without_exploration_there_are_none(self) -> None:
        for slate in self.slates(self.shop(policy="none"), 5):
            assert all(item.propensity is None for item in slate.items)

    def test_the_tail_holds_new_items_which_the_head_does_not(self) -> None:
        slates = self.slates(self.shop(epsilon=1.0))
        head = [item for slate in slates for item in ids(slate)[: -self.PLACES]]
        tail = [item for slate in slates for item in ids(slate)[-self.PLACES :]]
        assert not [item for item in head if item.startswith("new")]
        # Some 20 new ones count four times each against 7 old ones: nine in ten draws.
        assert np.mean([item.startswith("new") for item in tail]) > 0.7
        assert len(set(tail)) > 15

    def test_the_same_slate_id_gives_the_same_slate_and_another_one_another(self) -> None:
        shop, twin = self.shop(), self.shop()
        assert self.slates(shop, 5) == self.slates(twin, 5)
        records = shop.records(shop.event(Search, "ann", query="anything"))
        (first,) = shop.step(records).slates
        (again,) = shop.step(records).slates
        assert again == first
        tails = {tuple(ids(slate)[-self.PLACES :]) for slate in self.slates(shop, 10)}
        assert len(tails) > 3


class TestMemory:
    def test_many_users_wait_in_a_ring_of_one_size(self) -> None:
        shop = busy()
        pending = shop.learning.pending
        size_bytes = pending.size_bytes
        for i in range(300):
            slate = shop.slate(Browse, f"user{i}", item_id="abcdef"[i % 6])
            shop.take(Impression, f"user{i}", item_ids=ids(slate), slate_id=slate.slate_id)
            assert len(pending) <= SMALL.learn.max_pending
            assert max(len(pending.latest), len(pending.seen)) <= SMALL.learn.max_pending
        assert pending.size_bytes == size_bytes
        # The oldest made room: nothing comes of a slate that is no longer held.
        joined = shop.take(Click, "user0", item_id="b").joined
        assert joined is not None
        assert joined.labels == []
        # What workers tell each other is one record a scorer and partition, however many users there were.
        assert len(shop.learning.records()) <= len(shop.learning.estimators) + 1

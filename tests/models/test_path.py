"""The whole path without Kafka: what one micro-batch becomes, and that its batching changes nothing."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.absorb import Absorbed
from models.ingest.settings import Format, IngestSettings
from models.interest.codec import decode, encode
from models.interest.fold import Outcome, fold
from models.interest.queries import queries
from models.interest.settings import InterestSettings
from models.interest.state import State
from models.knowledge.settings import KnowledgeSettings
from models.learn.settings import LearnSettings
from models.path import EXAMPLE_MS, Path, Served, warm_up
from models.path_settings import PathSettings
from models.rank.settings import RankSettings
from models.retrieve.settings import CovisitationSettings, RetrieveSettings, SessionKnnSettings
from schemas import topics
from schemas.catalog import Item
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
from schemas.outputs import Slate
from schemas.rejections import Reason

NOW_MS = EXAMPLE_MS + 1_000_000
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
    slate_length=10,
    n_candidates=50,
)


class Given(NamedTuple):
    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


class Step(NamedTuple):
    """What the caller of both halves gets."""

    absorbed: Absorbed
    served: list[Served]

    @property
    def outcomes(self) -> list[Outcome]:
        return self.absorbed.outcomes


@dataclass
class Shop:
    """A path with what its caller keeps: stored states, and the next offset of each topic of partition 3."""

    settings: PathSettings = SMALL
    stored: dict[bytes, bytes] = field(default_factory=dict)
    ends: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.path = Path(self.settings)

    def records(self, *events: AnyEvent) -> list[Given]:
        made = []
        for event in events:
            topic = topics.of_event(event)
            offset = self.ends.get(topic, 100)
            self.ends[topic] = offset + 1
            value = msgspec.json.encode(event)
            made.append(Given(topic, 3, offset, event.time_ms, event.user_id.encode(), value))
        return made

    def step(self, *batches: Sequence[Given]) -> Step:
        def load(partition: int, keys: list[bytes]) -> list[bytes | None]:
            assert partition == 3
            return [self.stored.get(key) for key in keys]

        absorbed = self.path.absorb(batches, load, NOW_MS)
        self.stored.update(absorbed.states.get(3, []))
        return Step(absorbed, self.path.serve(absorbed.causes, NOW_MS))

    def take(self, *events: AnyEvent) -> Step:
        """One micro-batch of events of one topic."""
        return self.step(self.records(*events))

    def slates(self, *events: AnyEvent) -> list[Slate]:
        return [served.slate for served in self.take(*events).served]

    def slate(self, *events: AnyEvent) -> Slate:
        (slate,) = self.slates(*events)
        return slate


class Says:
    """Events of a shopper at minute after minute, with ids of their own."""

    def __init__(self) -> None:
        self._n = 0

    def head(self, user: str, minute: float | None = None) -> dict[str, Any]:
        self._n += 1
        at = self._n / 100 if minute is None else minute
        return {"event_id": f"e{self._n}", "user_id": user, "time_ms": EXAMPLE_MS + int(at * 60_000)}

    def view(self, user: str, item: str, minute: float | None = None, **more: Any) -> Browse:
        return Browse(**self.head(user, minute), item_id=item, **more)

    def buy(self, user: str, *items: str, minute: float | None = None) -> Purchase:
        return Purchase(**self.head(user, minute), lines=[Line(item_id=item) for item in items])

    def give(self, kind: Callable[..., AnyEvent], user: str, minute: float | None = None, **more: Any) -> Any:
        return kind(**self.head(user, minute), **more)


@pytest.fixture
def says() -> Says:
    return Says()


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def busy(shop: Shop, says: Says) -> Shop:
    """Ten shoppers have each viewed a, b, c, d and e in one session."""
    for i in range(10):
        shop.take(*(says.view(f"regular{i}", item, category="c1", brand="b1", price=5.0) for item in "abcde"))
    return shop


def ids(slate: Slate) -> list[str]:
    return [item.item_id for item in slate.items]


def knows(path: Path, users: Iterable[str], stored: dict[bytes, bytes]) -> list[Any]:
    """All that the knowledge base answers, to be compared."""
    states = [decode(stored[user.encode()]) for user in sorted(users) if user.encode() in stored]
    hashes = np.arange(len(states), dtype=np.uint64)
    now_s = np.array([state.latest_ms for state in states]) / 1000.0
    asked = queries(states, hashes, now_s, path.knowledge.vocabularies, SMALL.interest)
    answers = [source.candidates(asked, 20) for source in path.knowledge.sources]
    return [
        path.knowledge.n_interactions,
        path.knowledge.rebuying.rebuyable.tolist(),
        *(column.tobytes() for column in path.knowledge.attributes),
        *(column.tobytes() for answer in answers for column in answer),
    ]


class TestWhatCausesASlate:
    def test_one_event_gives_one_slate_named_after_its_record(self, busy: Shop, says: Says) -> None:
        event = says.view("ann", "a")
        (served,) = busy.take(event).served
        # 50 views came before at offsets 100 to 149.
        assert served.slate.slate_id == "events.browse-3-150"
        assert (served.slate.user_id, served.slate.event_id) == ("ann", event.event_id)
        assert (served.slate.event_time_ms, served.timestamp_ms) == (event.time_ms, event.time_ms)
        assert served.slate.processed_ms == NOW_MS
        assert served.slate.model_version == busy.path.model_version
        assert ids(served.slate)

    def test_several_events_of_one_user_give_one_slate_caused_by_the_latest(
        self, busy: Shop, says: Says
    ) -> None:
        events = [says.view("ann", "a"), says.view("bob", "b"), says.view("ann", "c"), says.view("bob", "d")]
        first, second = busy.slates(*events)
        assert (first.user_id, first.slate_id) == ("ann", "events.browse-3-152")
        assert (second.user_id, second.slate_id) == ("bob", "events.browse-3-153")
        assert "a" not in ids(first)  # both views are in the state that the slate is made from
        assert "c" not in ids(first)

    @pytest.mark.parametrize(
        ("kind", "more"),
        [
            (Impression, {"item_ids": ["a", "b"]}),
            (Dwell, {"item_id": "a", "dwell_ms": 9_000}),
            (Rating, {"item_id": "a", "rating": 1.0}),
        ],
    )
    def test_what_was_shown_dwelt_on_or_rated_changes_the_state_and_gives_no_slate(
        self, busy: Shop, says: Says, kind: type, more: dict[str, Any]
    ) -> None:
        step = busy.take(says.give(kind, "ann", **more))
        assert step.served == []
        assert step.outcomes == [Outcome.FRESH]
        assert decode(busy.stored[b"ann"]).n_events == 1

    @pytest.mark.parametrize("kind", [Click, Cart, Wishlist, Dismiss])
    def test_other_feedback_gives_a_slate(self, busy: Shop, says: Says, kind: type) -> None:
        assert busy.slate(says.give(kind, "ann", item_id="a")).slate_id == "events.feedback-3-100"

    def test_a_silent_event_after_a_loud_one_leaves_the_cause_to_the_loud_one(
        self, busy: Shop, says: Says
    ) -> None:
        click = says.give(Click, "ann", item_id="a")
        shown = says.give(Impression, "ann", item_ids=["b"])
        assert busy.slate(click, shown).event_id == click.event_id

    def test_a_duplicate_gives_none_and_teaches_nothing(self, busy: Shop, says: Says) -> None:
        event = says.view("ann", "a")
        busy.take(event)
        n = busy.path.knowledge.n_interactions
        step = busy.take(event)
        assert (step.outcomes, step.served) == ([Outcome.DUPLICATE], [])
        assert busy.path.knowledge.n_interactions == n

    def test_duplicates_within_one_batch_count_once(self, busy: Shop, says: Says) -> None:
        event = says.view("ann", "a")
        n = busy.path.knowledge.n_interactions
        step = busy.take(event, event, event)
        # The record that brought it first is the cause, whatever comes behind.
        assert [served.slate.slate_id for served in step.served] == ["events.browse-3-150"]
        assert busy.path.knowledge.n_interactions == n + 1

    def test_a_batch_of_which_nothing_is_accepted_changes_nothing(self, busy: Shop) -> None:
        step = busy.step([Given(topics.BROWSE, 3, 150, NOW_MS, b"ann", b"{")])
        assert (step.absorbed.states, step.served, step.outcomes, step.absorbed.facts.items) == (
            {},
            [],
            [],
            [],
        )
        assert step.absorbed.facts.places == [(topics.BROWSE, 3, 150)]

    def test_rejected_records_come_back_as_they_were(self, busy: Shop, says: Says) -> None:
        (sound,) = busy.records(says.view("ann", "a"))
        broken = Given(topics.BROWSE, 3, sound.offset + 1, NOW_MS, b"ann", b"{", (("h", b"1"),))
        step = busy.step([sound, broken])
        (quality,) = step.absorbed.quality
        (rejected,) = quality.ingested.rejected
        assert rejected.record is broken
        assert rejected.rejection.reason == Reason.BROKEN_JSON
        assert len(quality.ingested.accepted) == len(step.served) == 1


class TestDelivery:
    def test_a_replay_gives_the_same_ids_and_adds_nothing(self, busy: Shop, says: Says) -> None:
        records = busy.records(says.view("ann", "a"), says.view("bob", "b"), says.view("ann", "c"))
        first = busy.step(records)
        kept, n = dict(busy.stored), busy.path.knowledge.n_interactions
        again = busy.step(records)
        assert again.outcomes == [Outcome.REPLAYED] * 3
        assert [s.slate.slate_id for s in again.served] == [s.slate.slate_id for s in first.served]
        assert busy.stored == kept
        # Written again, since its changelog may be lost.
        assert again.absorbed.states == first.absorbed.states
        assert busy.path.knowledge.n_interactions == n

    def test_a_replay_in_a_fresh_worker_teaches_it_what_was_never_published(
        self, busy: Shop, says: Says
    ) -> None:
        records = busy.records(says.view("ann", "a"))
        busy.step(records)
        restarted = Shop(stored=busy.stored)  # states come back from the changelog, knowledge starts empty
        restarted.step(records)
        assert restarted.path.knowledge.n_interactions == 1

    def test_the_states_are_those_of_folding_alone(self, shop: Shop, says: Says) -> None:
        events = [
            says.view("ann", "a", category="c1"),
            says.view("bob", "b"),
            says.view("ann", "c", price=3.0),
        ]
        records = shop.records(*events)
        shop.step(records)
        for user in ("ann", "bob"):
            state = State()
            arrivals = [
                (r.topic, r.partition, r.offset, e)
                for r, e in zip(records, events, strict=True)
                if e.user_id == user
            ]
            fold(state, arrivals, SMALL.interest)
            assert shop.stored[user.encode()] == encode(state)

    def test_each_state_is_loaded_and_stored_once(self, shop: Shop, says: Says) -> None:
        asked: list[tuple[int, list[bytes]]] = []

        def load(partition: int, keys: list[bytes]) -> list[None]:
            asked.append((partition, list(keys)))
            return [None] * len(keys)

        views = shop.records(says.view("ann", "a"), says.view("bob", "a"), says.view("ann", "b"))
        searches = shop.records(says.give(Search, "bob", query="red"), says.give(Search, "cid", query="red"))
        absorbed = shop.path.absorb([views, searches], load, NOW_MS)
        assert asked == [(3, [b"ann", b"bob", b"cid"])]
        assert [key for key, _ in absorbed.states[3]] == [b"ann", b"bob", b"cid"]
        assert [cause.topic for cause in absorbed.causes] == [topics.BROWSE, topics.SEARCH, topics.SEARCH]

    def test_partitions_have_states_of_their_own(self, shop: Shop, says: Says) -> None:
        here = shop.records(says.view("ann", "a"))
        there = [record._replace(partition=1) for record in shop.records(says.view("bob", "b"))]
        absorbed = shop.path.absorb([here, there], lambda _, keys: [None] * len(keys), NOW_MS)
        assert {partition: [key for key, _ in states] for partition, states in absorbed.states.items()} == {
            3: [b"ann"],
            1: [b"bob"],
        }
        assert absorbed.facts.places == [(topics.BROWSE, 3, 100), (topics.BROWSE, 1, 101)]
        assert shop.path.knowledge.n_interactions == 2


class TestWhatIsInASlate:
    def test_bought_items_do_not_come_back(self, busy: Shop, says: Says) -> None:
        assert set(ids(busy.slate(says.buy("ann", "a", "b")))) == {"c", "d", "e"}
        # A day later the session is another one; what was bought stays out, what is viewed now as well.
        assert set(ids(busy.slate(says.view("ann", "c", minute=1_440.0)))) == {"d", "e"}

    def test_viewed_items_do_not_come_back_in_the_session(self, busy: Shop, says: Says) -> None:
        assert set(ids(busy.slate(says.view("ann", "a"), says.view("ann", "b")))) == {"c", "d", "e"}

    def test_viewed_items_come_back_in_a_later_session(self, busy: Shop, says: Says) -> None:
        busy.take(says.view("ann", "a"))
        assert "a" in ids(busy.slate(says.view("ann", "b", minute=1_440.0)))

    def test_a_dismissed_item_does_not_come_back(self, busy: Shop, says: Says) -> None:
        assert "e" not in ids(busy.slate(says.give(Dismiss, "ann", item_id="e")))
        assert "e" not in ids(busy.slate(says.view("ann", "a", minute=1_440.0)))

    def test_what_the_catalogue_says_cannot_be_bought_is_left_out(self, busy: Shop, says: Says) -> None:
        out = [Item(item_id=item, time_ms=EXAMPLE_MS, available=False) for item in "bc"]
        busy.path.knowledge.describe([*((item.item_id, item) for item in out), ("d", None)])
        assert ids(busy.slate(says.view("ann", "a"))) == ["e"]
        busy.path.knowledge.describe([("b", Item(item_id="b", time_ms=EXAMPLE_MS))])
        assert set(ids(busy.slate(says.view("ann", "a")))) == {"b", "e"}

    def test_reasons_name_sources_and_items_that_the_user_touched(self, busy: Shop, says: Says) -> None:
        slate = busy.slate(says.view("ann", "a", category="c1"))
        reasons = [reason for item in slate.items for reason in item.reasons]
        assert {reason.source for reason in reasons} <= {
            "session_knn", "covisitation", "content", "search", "trending", "cold_start", "recent"
        }  # fmt: skip
        assert {reason.because for reason in reasons} == {"a", None}
        assert all(item.reasons and 0.0 < item.reasons[0].share <= 1.0 for item in slate.items)

    def test_items_are_distinct_and_as_many_as_set(self, shop: Shop, says: Says) -> None:
        shop.take(*(says.view(f"u{i % 7}", f"i{i}") for i in range(60)))
        slate = shop.slate(says.view("ann", "i0"))
        assert len(ids(slate)) == len(set(ids(slate))) == SMALL.slate_length

    def test_a_user_of_whom_only_a_search_is_known_starts_cold(self, busy: Shop, says: Says) -> None:
        assert busy.slate(says.give(Search, "ann", query="red shoe")).cold_start
        assert not busy.slate(says.view("ann", "a")).cold_start

    def test_a_cold_start_still_fills_the_slate(self, busy: Shop, says: Says) -> None:
        assert set(ids(busy.slate(says.give(Search, "ann", query="red shoe")))) == set("abcde")

    def test_the_first_event_of_all_gets_an_empty_slate(self, shop: Shop, says: Says) -> None:
        slate = shop.slate(says.view("ann", "a"))
        assert (slate.items, slate.cold_start) == ([], False)


class TestWhatIsLearned:
    def test_a_rating_in_the_lower_half_is_no_praise(self, shop: Shop, says: Says) -> None:
        ratings = [0.0, 0.49, 0.5, 1.0]
        shop.take(*(says.give(Rating, "ann", item_id=f"r{r}", rating=r) for r in ratings))
        assert shop.path.knowledge.n_interactions == 2
        assert shop.path.knowledge.vocabularies.items.lookup(["r0.49", "r0.5"]).tolist() == [-1, 0]

    def test_an_interaction_counts_for_the_platform_of_its_own_time(self, shop: Shop, says: Says) -> None:
        absorbed = shop.take(
            says.view("ann", "a"),
            says.view("ann", "b", platform="web"),
            says.view("ann", "c"),
            says.view("ann", "d", platform="app"),
            says.view("ann", "e", platform="web", minute=-60.0),  # late: the app is where ann is now
        ).absorbed
        assert absorbed.facts.segments == ["web", "app"]
        assert absorbed.facts.column("segment").tolist() == [-1, 0, 0, 1, 1]
        assert shop.take(says.view("ann", "f")).absorbed.facts.segments == ["app"]

    def test_users_travel_as_hashes(self, shop: Shop, says: Says) -> None:
        facts = shop.take(says.view("ann-of-green-gables", "a")).absorbed.facts
        assert b"ann-of-green-gables" not in msgspec.msgpack.encode(facts)


MINUTE_MS = 60_000
word = st.sampled_from(["a", "b", "c", "d", "e"])
maybe = st.none() | word
WHO = ["u", "v", "w"]


def kind(event_type: type, **fields: Any) -> st.SearchStrategy[AnyEvent]:
    common = {
        "event_id": st.integers(0, 60).map(str),
        "user_id": st.sampled_from(WHO),
        "time_ms": st.integers(0, 120).map(lambda minute: EXAMPLE_MS + minute * MINUTE_MS),
        "session_id": maybe,
        "platform": st.none() | st.sampled_from(["web", "app"]),
    }
    return st.builds(event_type, **common, **fields)


browse = kind(Browse, item_id=word, category=maybe, brand=maybe, price=st.none() | st.floats(0.0, 1e4))
line = st.builds(Line, item_id=word, category=maybe, brand=maybe, price=st.none() | st.floats(0.0, 1e4))
logs = st.one_of(
    st.lists(browse, min_size=1, max_size=25),
    st.lists(kind(Purchase, lines=st.lists(line, min_size=1, max_size=3)), min_size=1, max_size=25),
    st.lists(
        st.one_of(
            kind(Click, item_id=word),
            kind(Cart, item_id=word, price=st.none() | st.floats(0.0, 1e4)),
            kind(Dismiss, item_id=word),
            kind(Rating, item_id=word, rating=st.floats(0.0, 1.0)),
            kind(Impression, item_ids=st.lists(word, min_size=1, max_size=3)),
        ),
        min_size=1,
        max_size=25,
    ),
)


@given(logs, st.sets(st.integers(1, 24)))
@settings(max_examples=150, deadline=None)
def test_any_batching_of_a_partition_leaves_the_same_states_and_the_same_knowledge(
    log: list[AnyEvent], cuts: set[int]
) -> None:
    whole, parts = Shop(), Shop()
    records = whole.records(*log)
    whole.step(records)
    bounds = [0, *sorted(cut for cut in cuts if cut < len(records)), len(records)]
    for start, end in pairwise(bounds):
        parts.step(records[start:end])
    assert parts.stored == whole.stored
    assert knows(parts.path, WHO, parts.stored) == knows(whole.path, WHO, whole.stored)


@given(logs, st.lists(st.tuples(st.integers(0, 24), st.integers(1, 10)), max_size=6))
@settings(max_examples=100, deadline=None)
def test_any_redelivery_leaves_the_same_states_and_the_same_knowledge(
    log: list[AnyEvent], repeats: list[tuple[int, int]]
) -> None:
    once, often = Shop(), Shop()
    records = once.records(*log)
    once.step(records)
    done = 0
    for back, size in [*repeats, (0, len(records)), (0, len(records))]:
        start = max(0, done - back)
        batch = records[start : done + size]
        if batch:
            often.step(batch)
            done = start + len(batch) if start + len(batch) > done else done
    assert often.stored == once.stored
    assert knows(often.path, WHO, often.stored) == knows(once.path, WHO, once.stored)


class TestModelVersion:
    def test_it_changes_with_every_part_of_the_settings(self) -> None:
        versions = {
            Path(changed).model_version
            for changed in (
                SMALL,
                SMALL._replace(ingest=IngestSettings(allowed_lateness_ms=1)),
                SMALL._replace(interest=InterestSettings(idle_s=1.0)),
                SMALL._replace(knowledge=SMALL.knowledge.model_copy(update={"max_items": 65})),
                SMALL._replace(rank=RankSettings(mmr_lambda=1.0)),
                SMALL._replace(learn=LearnSettings(max_pending=64, rate=0.1)),
                SMALL._replace(slate_length=11),
                SMALL._replace(n_candidates=51),
            )
        }
        assert len(versions) == 8

    def test_it_does_not_change_with_the_order_in_which_settings_are_given(self) -> None:
        weights = {"trending": 1.0, "content": 2.0}
        formats = {topics.BROWSE: Format.GA4, topics.SEARCH: Format.SEGMENT}

        def version(turned: bool) -> str:
            def turn(given: dict[str, Any]) -> dict[str, Any]:
                return dict(reversed(given.items())) if turned else given

            return Path(
                SMALL._replace(
                    rank=RankSettings(source_weights=turn(weights)),
                    ingest=IngestSettings(formats=turn(formats)),
                )
            ).model_version

        assert version(turned=False) == version(turned=True)


def test_warming_up_leaves_no_trace(busy: Shop, says: Says) -> None:
    fresh = Shop()
    warm_up(SMALL)
    assert len(fresh.path.knowledge.vocabularies.items) == 0
    before = knows(busy.path, ["regular0"], busy.stored)
    warm_up(SMALL)
    assert knows(busy.path, ["regular0"], busy.stored) == before
    assert busy.slate(says.view("ann", "a")).slate_id == "events.browse-3-150"


def test_warming_up_runs_every_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    laps: list[str] = []
    serve = Path.serve

    def watched(self: Path, causes: Any, now_ms: int) -> list[Served]:
        return serve(self, causes, now_ms, laps.append)

    monkeypatch.setattr(Path, "serve", watched)
    warm_up(SMALL)
    # Four events: search, browse, purchase, browse; each is served.
    assert laps.count("explain") == laps.count("retrieve.session_knn") == 4


def test_stages_are_told_in_order(shop: Shop, says: Says) -> None:
    laps: list[str] = []
    records = shop.records(says.view("ann", "a"))
    absorbed = shop.path.absorb([records], lambda _, keys: [None] * len(keys), NOW_MS, laps.append)
    shop.path.serve(absorbed.causes, NOW_MS, laps.append)
    assert laps == [
        "ingest", "load", "quality", "interest", "knowledge", "queries",
        "retrieve.session_knn", "retrieve.covisitation", "retrieve.content", "retrieve.search",
        "retrieve.trending", "retrieve.cold_start", "retrieve.recent", "retrieve.embedding",
        "rank", "remember", "explain",
    ]  # fmt: skip


def slates_of_a_small_shop() -> dict[str, Any]:
    """Model version and slates of 1,200 events on three topics, in batches of 40."""
    rng = np.random.default_rng(11)
    says, shop = Says(), Shop()
    shop.path.knowledge.describe(
        [(f"i{i}", Item(item_id=f"i{i}", time_ms=EXAMPLE_MS, title=f"red thing {i}", category=f"c{i % 5}"))
         for i in range(20)]
    )  # fmt: skip
    slates = []
    for batch in range(30):
        kinds: list[Callable[[str, str], AnyEvent]] = [
            lambda user, item: says.view(user, item, category=f"c{len(item)}", platform="web"),
            lambda user, item: says.give(Search, user, query=f"red {item}"),
            lambda user, item: says.buy(user, item),
        ]
        make = kinds[batch % 3]
        picks = rng.integers(0, [12, 40], (40, 2)).tolist()
        slates += shop.slates(*(make(f"u{user}", f"i{item}") for user, item in picks))
    return {"version": shop.path.model_version, "slates": [msgspec.to_builtins(slate) for slate in slates]}


def test_two_processes_with_different_hash_seeds_give_the_same_slates() -> None:
    def run(seed: str) -> dict[str, Any]:
        code = (
            "import importlib.util, json, sys\n"
            "spec = importlib.util.spec_from_file_location('of_path', sys.argv[1])\n"
            "module = importlib.util.module_from_spec(spec)\n"
            "sys.modules['of_path'] = module\n"
            "spec.loader.exec_module(module)\n"
            "print(json.dumps(module.slates_of_a_small_shop()))\n"
        )
        command = [sys.executable, "-c", code, __file__]
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(command, env=environment, capture_output=True, check=True, text=True)
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    one, other = run("1"), run("2")
    assert len(one["slates"]) > 100
    assert one == other

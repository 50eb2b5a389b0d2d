"""Cleaning on the path: quality sees what arrived, states, knowledge and scorers what is clean."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from models.clean.recipe import recipe
from models.evaluate.baselines import Markov
from models.evaluate.of_path import LoggedRecord, OfPath
from models.ingest.settings import IngestSettings
from models.interest.codec import decode
from models.interest.fold import Outcome
from models.interest.settings import InterestSettings
from models.knowledge.settings import KnowledgeSettings
from models.learn.settings import LearnSettings
from models.path import EXAMPLE_MS, Path
from models.path_settings import PathSettings
from models.quality.action_settings import ActionSettings
from models.quality.actions import Sanctions
from models.quality.monitor.monitor import Judged
from models.quality.observe import observe
from models.quality.partition import PartitionProfiles
from models.quality.report import report
from models.quality.settings import QualitySettings
from models.rank.settings import RankSettings
from models.retrieve.settings import CovisitationSettings, RetrieveSettings, SessionKnnSettings
from schemas import topics
from schemas.catalog import Item
from schemas.checks import Alert, CheckReport, CheckResult, Status
from schemas.events import AnyEvent, Browse, Click, Impression, Line, Purchase

RECIPE = {
    "version": "7",
    "steps": [
        {"do": "normalise", "fields": ["category", "brand"]},
        {"do": "alias", "values": {"a-red": "a"}},
        {"do": "merge", "within_s": 2},
        {"do": "fill", "fields": ["category"]},
        {"do": "cap", "events": 3, "within_s": 60},
    ],
}


def settings(declared: dict[str, Any] | None) -> PathSettings:
    return PathSettings(
        ingest=IngestSettings(),
        interest=InterestSettings(),
        knowledge=KnowledgeSettings(max_items=64, max_categories=8, max_brands=8),
        retrieve=RetrieveSettings(
            session_knn=SessionKnnSettings(n_blocks=256, n_sessions=64),
            covisitation=CovisitationSettings(n_sessions=64),
        ),
        learn=LearnSettings(max_pending=64),
        rank=RankSettings(),
        slate_length=10,
        n_candidates=50,
        **({"clean": recipe(declared)} if declared else {}),
    )


class Shop:
    """A path with its states and one partition a topic."""

    def __init__(self, declared: dict[str, Any] | None = RECIPE) -> None:
        self.path = Path(settings(declared))
        self.states: dict[bytes, bytes] = {}
        self.n = 0

    def records(self, *events: AnyEvent) -> list[LoggedRecord]:
        found = []
        for event in events:
            key, value = event.user_id.encode(), msgspec.json.encode(event)
            found.append(LoggedRecord(topics.of_event(event), 0, self.n, event.time_ms, key, value))
            self.n += 1
        return found

    def take(self, *events: AnyEvent) -> Any:
        return self.step(self.records(*events))

    def step(self, records: Sequence[LoggedRecord]) -> Any:
        absorbed = self.path.absorb(
            [records], lambda _, keys: [self.states.get(key) for key in keys], EXAMPLE_MS + 10**7
        )
        self.states.update(absorbed.states[0])
        return absorbed

    def state(self, user: str) -> Any:
        return decode(self.states[user.encode()])


def look(n: int, item: str, second: float, user: str = "u", **fields: Any) -> Browse:
    return Browse(
        event_id=f"e{n}", user_id=user, time_ms=EXAMPLE_MS + int(second * 1_000), item_id=item, **fields
    )


def test_states_and_knowledge_hold_what_is_clean_and_slates_name_the_event_as_it_came() -> None:
    shop = Shop()
    shop.path.describe([("b", Item(item_id="b", time_ms=EXAMPLE_MS, category="HATS "))])
    absorbed = shop.take(look(1, "a-red", 1, category=" Shoes"), look(2, "b", 11, brand="ACME"))
    assert shop.state("u").recents.items == ["a", "b"]
    assert shop.state("u").categories.keys == ["shoes", "hats"]
    words = shop.path.knowledge.vocabularies
    assert (words.items.index("a-red"), words.categories.index(" Shoes")) == (-1, -1)
    assert words.brands.index("acme") >= 0
    (served,) = shop.path.serve(absorbed.causes, EXAMPLE_MS)
    assert served.slate.event_id == "e2"


def test_quality_profiles_what_arrived_and_tells_what_was_cleaned() -> None:
    shop = Shop()
    absorbed = shop.take(
        look(1, "a-red", 1, category=" Shoes"), look(2, "a-red", 1.5, category=" Shoes"), look(3, "b", 9)
    )
    profiles = PartitionProfiles(topics.BROWSE, 0, QualitySettings())
    observe(profiles, absorbed.quality[0])
    (window,) = profiles.windows.values()
    assert window.labels["category"].examples.count(" Shoes") == 1
    found = report([window])
    assert found.recipes == {shop.path.cleaner.label: 3}
    assert found.cleaned == {"normalise category brand": 2, "alias item_id": 2, "merge": 1}


def test_copies_under_other_ids_are_one_event_whatever_batch_brings_them() -> None:
    together, apart = Shop(), Shop()
    copies = [look(1, "a", 2.0), look(2, "a", 2.3), look(3, "a", 9.0)]
    assert together.take(*copies).outcomes == [Outcome.FRESH, Outcome.DUPLICATE, Outcome.FRESH]
    outcomes = [outcome for event in copies for outcome in apart.take(event).outcomes]
    assert outcomes == [Outcome.FRESH, Outcome.DUPLICATE, Outcome.FRESH]
    assert together.states == apart.states


def test_a_redelivery_changes_nothing_and_makes_the_same_facts() -> None:
    shop = Shop()
    records = shop.records(*(look(n, f"i{n}", 3.0 * n) for n in range(6)))
    first = shop.step(records)
    before = dict(shop.states)
    again = shop.step(records)
    assert again.outcomes == [Outcome.REPLAYED] * 6
    assert (shop.states, again.facts) == (before, first.facts)


def test_beyond_the_cap_a_user_teaches_nobody_else_and_is_served_as_ever() -> None:
    shop = Shop()
    absorbed = shop.take(*(look(n, f"i{n}", 3.0 * n) for n in range(6)))
    assert [hint.item_id for hint in absorbed.facts.items] == ["i0", "i1", "i2"]
    assert len(absorbed.fresh) == 3
    assert shop.state("u").recents.items == [f"i{n}" for n in range(6)]
    assert len(absorbed.causes) == 1
    assert absorbed.quality[0].marks.counts() == {"cap": 3}


def test_without_a_recipe_nothing_is_marked() -> None:
    shop = Shop(None)
    absorbed = shop.take(look(1, "a", 1, category=" Shoes"))
    assert absorbed.quality[0].marks is None
    assert shop.state("u").categories.keys == [" Shoes"]
    assert shop.path.cleaner.label == ""


def test_another_recipe_is_another_version_of_the_model() -> None:
    assert Shop().path.model != Shop(None).path.model


def failing(check: str, field: str) -> Any:
    result = CheckResult(
        check=check,
        dimension="d",
        field=field,
        status=Status.FAIL,
        value=1.0,
        low=None,
        high=None,
        n=9,
        evidence="",
    )
    window: dict[str, Any] = {"source": topics.BROWSE, "window_start_ms": EXAMPLE_MS + 5_000}
    window["window_end_ms"] = window["window_start_ms"] + 1_000
    alert = Alert(alert_id="a", before=Status.PASS, result=result, **window)
    return Judged(CheckReport(n_events=9, status=Status.FAIL, checks=[result], **window), [alert])


@pytest.fixture
def shop() -> Shop:
    shop = Shop(None)
    shop.path.sanctions = Sanctions(ActionSettings(act="apply"))
    return shop


def test_a_quarantined_source_goes_on_to_states_and_teaches_nothing(shop: Shop) -> None:
    shop.path.sanctions.heard(failing("known_item", ""))
    absorbed = shop.take(look(1, "a", 1), look(2, "b", 6))
    assert [hint.item_id for hint in absorbed.facts.items] == ["a"], "from the window that failed on"
    assert [event.event_id for _, event in absorbed.fresh] == ["e1"]
    assert shop.state("u").recents.items == ["a", "b"]
    order = Purchase(event_id="e3", user_id="u", time_ms=EXAMPLE_MS + 7_000, lines=[Line(item_id="c")])
    assert [hint.item_id for hint in shop.take(order).facts.items] == ["c"], "other sources go on"


def test_a_slate_seen_while_choices_are_held_back_teaches_nothing(shop: Shop) -> None:
    shop.path.sanctions.heard(failing("known_item", ""))
    seen = [
        Impression(event_id=f"s{n}", user_id="u", time_ms=EXAMPLE_MS + at_ms, item_ids=["a", "b"])
        for n, at_ms in enumerate((1_000, 6_000))
    ]
    absorbed = shop.take(*seen)
    assert [event.event_id for _, event in absorbed.fresh] == ["s0"], "else all would be learned as unwanted"


def test_trials_of_variants_are_of_the_items_that_are_offered() -> None:
    path = Shop().path
    event = look(1, "a-red", 1)
    assert OfPath(path).wanted(event) == ["a"]
    assert Markov().wanted(event) == ["a-red"]


def test_a_field_that_must_not_be_believed_reaches_nobody_and_is_still_compared(shop: Shop) -> None:
    shop.path.describe([("a", Item(item_id="a", time_ms=EXAMPLE_MS, category="shoes"))])
    shop.path.sanctions.heard(failing("agreement", "category"))
    absorbed = shop.take(look(1, "a", 6, category="hats"))
    assert shop.state("u").categories.keys == ["shoes"], "the catalogue says what the event must not"
    assert absorbed.facts.items[0].category is None
    assert absorbed.quality[0].agrees[0].tolist() == [0, -1, -1], "else it could never recover"


def test_outcomes_of_a_source_that_is_not_trusted_count_less(shop: Shop) -> None:
    for n in range(12):
        absorbed = shop.take(look(n, f"i{n}", n / 10, user=f"u{n}"))
        shop.path.serve(absorbed.causes, EXAMPLE_MS)
    slate = shop.path.serve(shop.take(look(50, "i0", 2)).causes, EXAMPLE_MS)[0].slate
    wanted = slate.items[0].item_id
    shop.path.sanctions.heard(failing("rejected", ""))

    def weight(event: AnyEvent) -> float:
        joined = shop.path.join(shop.take(event))
        assert joined
        return float(joined.groups.weight[0])

    head: dict[str, Any] = {"user_id": "u", "slate_id": slate.slate_id}
    assert weight(look(51, wanted, 6, slate_id=slate.slate_id)) == 0.25
    clicked = Click(event_id="e52", time_ms=EXAMPLE_MS + 8_000, item_id=slate.items[1].item_id, **head)
    assert weight(clicked) == 1.0

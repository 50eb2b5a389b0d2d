import numpy as np
import pytest
from msgspec.structs import asdict

from models.kinds import Kind
from models.learn.groups import SCALE, Groups
from models.rank.features import feature_names
from models.value.games import GAMES, SIGNALS, SOURCES, Game, fed, layout_of, open_blocks
from models.value.settings import ValueSettings
from models.value.valuing import Valuing
from models.value.withheld import WITHHELD
from schemas.events import Browse, Cart, Dismiss, Line, Purchase, Search

RECOMMENDERS = ("session_knn", "search", "content")
NAMES = feature_names(RECOMMENDERS)
EVERY = ValueSettings(share=1.0)


def shop(n: int, seed: int = 1) -> Groups:
    """What is searched for tells what is wanted; neighbours name everything and know nothing."""
    rng = np.random.default_rng(seed)
    k = 10
    x = np.zeros((n, k, len(NAMES)))
    wanted = rng.integers(0, k, n)
    for source, said in (("session_knn", rng.random((n, k))), ("search", None)):
        score = rng.random((n, k)) * 0.5 if said is None else said
        if said is None:
            score[np.arange(n), wanted] = 1.0
        x[:, :, NAMES.index(f"{source}.named")] = 1.0
        x[:, :, NAMES.index(f"{source}.score")] = score
    return Groups(
        np.round(x / SCALE).astype(np.int16),
        np.full(n, k, np.int32),
        wanted.astype(np.int32),
        np.ones(n, np.float32),
        np.zeros(n, np.uint8),
        np.ones(n, np.uint8),
        np.zeros(n, np.uint8),
        np.ones((n, k), np.float32),
        np.full(n, Kind.CLICK, np.uint8),
    )


def valued(settings: ValueSettings = EVERY, n: int = 2_000, batch: int = 100) -> Valuing:
    valuing = Valuing(SOURCES, settings, RECOMMENDERS, np.zeros(len(NAMES), np.float32), 0.5)
    groups = shop(n)
    for start in range(0, n, batch):
        valuing.add(groups.of(slice(start, start + batch)))
    return valuing


def test_what_tells_is_worth_what_is_gained() -> None:
    sums = valued().taken()
    shapley = dict(zip(SOURCES.players, (sums.total[0, 0] / sums.n).tolist(), strict=True))
    assert sums.n == 2_000
    assert sum(shapley.values()) == pytest.approx((sums.all_in - sums.none_in)[0] / sums.n)
    # With search the wanted item is first; neighbours alone put it anywhere, which still is worth something.
    assert shapley["search"] > 0.6
    assert 0.0 < shapley["browse"] < 0.35
    assert all(
        abs(shapley[name]) < 1e-9 for name in ("purchase", "feedback", "attributes", "text", "promotions")
    )
    left_out = dict(zip(SOURCES.players, (sums.total[1, 0] / sums.n).tolist(), strict=True))
    assert left_out["search"] > 0.3
    assert left_out["browse"] == pytest.approx(0.0, abs=0.03)


def seen_shop(n: int, clicks: int) -> Groups:
    """``n`` slates that are all seen; from each of the first ``clicks`` something is taken, and bought after that."""
    groups = shop(n)._replace(
        seen=np.ones(n, np.uint8), chances=np.tile(1.0 / np.arange(1, 11), (n, 1)).astype(np.float32)
    )
    news = groups._replace(target=np.full(n, -1, np.int32), kind=np.full(n, Kind.IMPRESSION, np.uint8))
    taken = groups.of(slice(clicks))
    clicked = taken._replace(learned=np.ones(clicks, np.uint8))
    bought = taken._replace(
        kind=np.full(clicks, Kind.PURCHASE, np.uint8), weight=np.full(clicks, 4.0, np.float32)
    )
    pairs = [np.stack([a, b], axis=1).reshape(-1, *a.shape[1:]) for a, b in zip(clicked, bought, strict=True)]
    return Groups._make(np.concatenate([a, b]) for a, b in zip(news, pairs, strict=True))


def test_values_of_every_measure_add_up_to_what_is_gained() -> None:
    valuing = Valuing(SOURCES, EVERY, RECOMMENDERS, np.zeros(len(NAMES), np.float32), 0.5)
    valuing.add(seen_shop(400, 150))
    sums = valuing.taken()
    assert sums.all_in.min() > 0.0
    assert sums.total[0].sum(axis=1) == pytest.approx(sums.all_in - sums.none_in)
    assert (sums.seen.n, sums.seen.clicks, sums.seen.purchases, sums.seen.valued) == (400, 150, 150, 400.0)
    assert sums.counts.tolist() == [300.0] * 3 + [400.0] * 2
    # The same items are clicked and then bought, by one order: the scorer learned nothing in between.
    assert sums.all_in[3] == pytest.approx(sums.all_in[4])


def test_clicks_and_purchases_are_drawn_apart_so_that_none_is_passed_over() -> None:
    valuing = Valuing(SOURCES, ValueSettings(share=0.5), RECOMMENDERS, np.zeros(len(NAMES), np.float32), 0.0)
    groups = seen_shop(40, 20)
    for start in range(0, len(groups.n), 7):
        valuing.add(groups.of(slice(start, start + 7)))
    sums = valuing.taken()
    # Every second of 20 clicks and of 20 purchases, which come in turn.
    assert (sums.n, sums.seen.valued) == (20, 20.0)
    assert (sums.all_in[3] > 0.0, sums.all_in[4] > 0.0) == (True, True)


def test_a_window_stays_open_until_lists_and_slates_were_seen() -> None:
    valuing = Valuing(SOURCES, EVERY, RECOMMENDERS, np.zeros(len(NAMES), np.float32), 0.5)
    groups = seen_shop(10, 2)
    valuing.add(groups.of(slice(10, None)))
    assert not valuing.tells, "clicks without slates"
    valuing.add(groups.of(slice(0, 10)))
    assert valuing.tells
    valuing.taken()
    valuing.add(groups.of(slice(0, 10)))
    assert not valuing.tells, "slates alone"


def test_sums_are_given_once() -> None:
    valuing = valued(n=100)
    assert valuing.taken().n == 100
    assert valuing.taken().n == 0


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_one_in_eight_is_valued_whatever_the_batches(batch: int) -> None:
    valuing = valued(ValueSettings(share=0.125), n=400, batch=batch)
    assert valuing.taken().n == 50


def test_lists_without_a_wanted_item_are_passed_over() -> None:
    groups = shop(4)
    valuing = Valuing(SOURCES, EVERY, RECOMMENDERS, np.zeros(len(NAMES), np.float32), 0.5)
    valuing.add(groups._replace(target=np.full(4, -1, np.int32)))
    valuing.add(groups._replace(weight=np.full(4, -1.0, np.float32)))
    assert valuing.taken().n == 0


@pytest.mark.parametrize("game", GAMES.values())
def test_every_feature_of_an_item_takes_known_players(game: Game) -> None:
    known = {name.partition(".")[0] for name in feature_names(("session_knn", "covisitation", "content", "search",
        "trending", "cold_start", "recent", "embedding"))}  # fmt: skip
    assert set(game.needs) <= known
    assert {player for players in game.needs.values() for player in players} == set(game.players)
    free = known - set(game.needs)
    assert {name for name in free if not name.startswith("platform")} == {
        "agreement", "age", "always", "session_length", "returning", "searched", "hour_sin", "hour_cos",
    }  # fmt: skip


def test_a_block_opens_with_all_that_it_takes() -> None:
    layout = layout_of(SOURCES, RECOMMENDERS)
    opened = open_blocks(SOURCES, layout)
    of_text = layout.block[NAMES.index("content.score")]
    both = 1 << list(SOURCES.players).index("browse") | 1 << list(SOURCES.players).index("text")
    assert opened[both, of_text]
    assert not opened[1 << list(SOURCES.players).index("text"), of_text]
    assert opened[:, layout.block[NAMES.index("always")]].all()


def test_a_product_takes_what_both_of_its_parts_take() -> None:
    assert GAMES["signal"].takes("session_knn.again") == {"neighbours", "history"}
    assert GAMES["signal"].takes("session_knn.embedded") == {"neighbours", "model"}
    assert GAMES["signal"].takes("session_knn.score") == {"neighbours"}


def test_where_nobody_looks_and_some_order_interactions_are_orders() -> None:
    assert fed(SOURCES, {"browse", "purchase"}) is SOURCES
    assert fed(SOURCES, {"search"}) is SOURCES
    assert fed(SIGNALS, {"purchase"}) is SIGNALS
    orders = fed(SOURCES, {"purchase"})
    assert orders.needs["session_knn"] == ("purchase",)
    assert orders.needs["category"] == ("purchase", "attributes")
    assert orders.needs["purchase"] == ("purchase",)
    assert orders.players == SOURCES.players


def test_what_is_withheld_is_gone_and_the_rest_is_not() -> None:
    head = {"event_id": "1", "user_id": "u", "time_ms": 1}
    events = [
        Browse(**head, item_id="a", category="c", brand="b", price=1.0, session_id="s"),
        Search(**head, query="q"),
        Purchase(**head, lines=[Line(item_id="a", category="c", price=2.0, quantity=3)]),
        Cart(**head, item_id="a"),
        Dismiss(**head, item_id="a"),
    ]
    left = {source: [take(event) for event in events] for source, take in WITHHELD.items()}
    assert [event is None for event in left["browse"]] == [True, False, False, True, False]
    assert [event is None for event in left["search"]] == [False, True, False, False, False]
    assert [event is None for event in left["purchase"]] == [False, False, True, False, False]
    assert [event is None for event in left["feedback"]] == [False, False, False, False, True]
    browse, _, purchase, *_ = left["attributes"]
    assert asdict(browse) == asdict(Browse(**head, item_id="a", session_id="s"))
    assert purchase.lines == [Line(item_id="a", quantity=3)]

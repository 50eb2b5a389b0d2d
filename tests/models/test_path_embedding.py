"""The embedding model in the path: shoppers go round a ring of items, and only the model can tell what comes next."""

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import torch

from models.embed.in_place import InPlace
from models.embed.learner import Learner
from models.embed.settings import EmbedSettings
from models.evaluate.of_path import OfPath
from models.interest.codec import decode
from models.learn.settings import LearnSettings
from models.path import Path
from models.retrieve.embedding import Embedding
from models.retrieve.settings import RetrieveSettings
from schemas.events import Browse
from schemas.outputs import Slate
from streams.settings import Settings

N, STEPS = 40, 6
EMBED = EmbedSettings(
    dim=16,
    length=4,
    n_negatives=32,
    batch_size=64,
    rate=0.01,
    online_rate=0.01,
    dropout=0.0,
    min_count=1,
    max_rows=1_000,
    max_users=2_000,
    replay=10_000,
    epochs=6,
    serve_every=256,
)


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> None:
    torch.set_num_threads(1)


def rounds(n_users: int, seed: int) -> Iterator[Browse]:
    rng = np.random.default_rng(seed)
    for user in range(n_users):
        first = int(rng.integers(0, N))
        for step in range(STEPS):
            item = f"i{(first + step) % N}"
            yield browse(f"{seed}-{user}", item, 60_000 * user + 1_000 * step)


def browse(user: str, item: str, after_ms: int) -> Browse:
    return Browse(
        event_id=f"{user} {item} {after_ms}", user_id=user, time_ms=1_700_000_000_000 + after_ms, item_id=item
    )


def recommender(*, collects: bool, embed: EmbedSettings = EMBED) -> OfPath:
    """Of the embedding alone, by fixed weights."""
    known = RetrieveSettings()
    silent = {
        name: getattr(known, name).model_copy(update={"enabled": False})
        for name in RetrieveSettings.model_fields
        if name != "embedding"
    }
    settings = Settings()
    path = Path(
        settings.path()._replace(retrieve=known.model_copy(update=silent), learn=LearnSettings(enabled=False))
    )
    learner = Learner(
        embed, settings.knowledge.max_items, path.knowledge.attributes, settings.interest, "cpu"
    )
    source(path).pupil = InPlace(learner, embed, collects=collects)
    return OfPath(path)


def source(path: Path) -> Embedding:
    found = path.knowledge.embedding
    assert found is not None
    return found


def hit_rate(of: OfPath, n: int = 60) -> float:
    """Of the next item among the first three, for new shoppers who looked at two items, nothing learned."""
    hits = 0
    for user in range(n):
        first = (7 * user) % N
        of.slates([browse(f"new {user}", f"i{first}", 10**8)], learn=False)
        (slate,) = of.slates([browse(f"new {user}", f"i{(first + 1) % N}", 10**8 + 1)], learn=False)
        assert isinstance(slate, Slate)
        hits += f"i{(first + 2) % N}" in [item.item_id for item in slate.items[:3]]
    return hits / n


@pytest.fixture(scope="module")
def fitted() -> OfPath:
    of = recommender(collects=True)
    of.train(list(rounds(400, seed=1)))
    of.settle()
    return of


def test_nothing_is_named_before_there_is_a_model() -> None:
    of = recommender(collects=True)
    of.train(list(rounds(5, seed=1)))
    (slate,) = of.slates([browse("me", "i1", 0)], learn=False)
    assert slate is None or slate.items == []


def test_what_was_fitted_names_what_comes_next_and_says_so(fitted: OfPath) -> None:
    assert hit_rate(fitted) > 0.9
    (slate,) = fitted.slates([browse("me", "i5", 10**8)], learn=False)
    assert slate is not None
    best = slate.items[0]
    assert [(reason.source, reason.because) for reason in best.reasons] == [("embedding", "i5")]
    scores = [item.score for item in slate.items]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] <= 1.0


def test_slates_do_not_depend_on_who_else_is_served(fitted: OfPath) -> None:
    def items(slates: Sequence[Slate | None]) -> list[list[str]]:
        return [[item.item_id for item in slate.items] for slate in slates if slate]

    together = items(fitted.slates([browse(f"a{u}", f"i{3 * u}", 10**8) for u in range(12)], learn=False))
    alone = [items(fitted.slates([browse(f"b{u}", f"i{3 * u}", 10**8)], learn=False))[0] for u in range(12)]
    assert together == alone


def test_online_it_serves_what_it_learned_from_the_stream() -> None:
    of = recommender(collects=False)
    versions = []
    events = list(rounds(700, seed=2))
    for start in range(0, len(events), 60):
        of.train(events[start : start + 60])
        versions.append(source(of.path).version)
    assert versions[0] is None
    assert len(set(versions)) > 5  # a new one each 256 examples
    assert hit_rate(of) > 0.7


def test_an_explanation_shows_the_cosine_as_a_feature(fitted: OfPath) -> None:
    fitted.slates([browse("ann", "i9", 10**8)], learn=False)
    told = fitted.path.explain(decode(fitted._states[b"ann"]), "ann", 0, "i10")
    embedding = source(fitted.path)
    items = fitted.path.knowledge.vocabularies.items
    assert told.asked is not None
    cosine = {each.feature: each.value for each in told.asked.contributions}["embedded"]
    best = np.argmax(embedding.items @ embedding.items[items.index("i10")])
    assert items.word(int(best)) == "i10"
    assert 0.5 < cosine <= 1.0
    assert {says.source for says in told.asked.sources} == {"embedding"}


def test_forgotten_items_are_named_no_more() -> None:
    of = recommender(collects=True)
    of.train(list(rounds(200, seed=3)))
    of.settle()
    embedding = source(of.path)
    item = of.path.knowledge.vocabularies.items.index("i12")
    embedding.forget(np.array([item], np.int32))
    assert not embedding.items[item].any()
    (slate,) = of.slates([browse("me", "i11", 10**8)], learn=False)
    assert slate is not None
    assert "i12" not in [each.item_id for each in slate.items]
    assert len(slate.items) >= 10

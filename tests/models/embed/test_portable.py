from collections.abc import Callable

import numpy as np
import pytest

from models.embed.exported import Exported
from models.embed.inference import Inference
from models.embed.learner import Learner
from models.embed.portable import abroad, at_home, state_abroad, state_at_home
from models.embed.sequences import Sequences
from models.embed.settings import EmbedSettings
from models.interest.settings import InterestSettings
from models.knowledge.attributes import Attributes
from models.knowledge.vocabulary import Vocabularies, Vocabulary
from models.retrieve.contract import Interactions

Make = Callable[..., Interactions]
MakeAttributes = Callable[[int], Attributes]
N = 24
SMALL = EmbedSettings(
    propagation=0.0,
    dim=8,
    length=4,
    n_negatives=16,
    batch_size=16,
    min_count=1,
    max_rows=64,
    max_users=64,
    replay=512,
)


def vocabularies(items: list[str]) -> Vocabularies:
    made = Vocabularies(*(Vocabulary(64) for _ in Vocabularies._fields))
    made.items.encode(items)
    made.queries.encode(["red shoe"])
    made.segments.encode(["app", "web"])
    return made


HERE = [f"i{i}" for i in range(N)]
THERE = ["other", *HERE[5:][::-1]]
"""Another process met the items in another order, and does not know the first five."""


@pytest.fixture(scope="module")
def learner(interactions: Make) -> Learner:
    attributes = Attributes(
        category=np.where(np.arange(64) < N, np.arange(64) % 3, -1).astype(np.int32),
        brand=np.full(64, -1, np.int32),
        log_price=np.where(np.arange(64) < N, 2.0, np.nan).astype(np.float32),
        available=np.ones(64, np.uint8),
        created_s=np.zeros(64),
        discount=np.zeros(64, np.float32),
    )
    made = Learner(SMALL, 64, attributes, InterestSettings(), "cpu")
    rows = [(user, (user + step) % N, 10.0 * step) for user in range(40) for step in range(5)]
    made.observe(interactions(rows, term=0, segment=1))
    return made


def vector(exported: Exported, vocabulary: Vocabulary, word: str) -> np.ndarray:
    (row,) = np.flatnonzero(exported.items == vocabulary.index(word))
    return exported.vectors[row]


def test_words_find_their_vectors_in_another_process(learner: Learner) -> None:
    here, there = vocabularies(HERE), vocabularies(THERE)
    exported = learner.export()
    arrays, names = abroad(exported, here)
    assert {len(arrays[name]) == len(words) for name, words in names.items()} == {True}
    found = at_home(arrays, names, there)
    assert (np.diff(found.items) > 0).all()
    assert {there.items.word(i) for i in found.items.tolist()} == set(HERE[5:])
    for word in HERE[5:]:
        assert (vector(found, there.items, word) == vector(exported, here.items, word)).all()


def test_users_are_the_same_in_another_process(learner: Learner) -> None:
    here, there = vocabularies(HERE), vocabularies(THERE)
    exported = learner.export()
    found = at_home(*abroad(exported, here), there)

    def user(of: Exported, words: Vocabularies) -> np.ndarray:
        items = words.items.lookup(["i9", "i8", "i7"])
        padded = np.concatenate([items, [-1]]).astype(np.int32)[None]
        query, segment = words.queries.lookup(["red shoe"]), words.segments.lookup(["web"])
        nothing = np.zeros((1, 4), np.float32), np.zeros((1, 4), np.uint8)
        return Inference(of, SMALL, "cpu").users(Sequences(padded, *nothing, query, segment))

    assert user(found, there) == pytest.approx(user(exported, here), abs=1e-6)


def test_what_was_evicted_does_not_travel(learner: Learner) -> None:
    here = vocabularies(HERE)
    here.items._words[3] = None
    arrays, names = abroad(learner.export(), here)
    assert "i3" not in names["items"]
    assert len(arrays["items"]) == len(names["items"]) == N - 1


def test_a_learner_goes_on_in_another_process_as_it_would_have_here(
    learner: Learner, attributes: MakeAttributes
) -> None:
    here, there = vocabularies(HERE), vocabularies(["other"])
    for words in (here, there):
        words.categories.encode(["a", "b", "c"])
    exported = learner.export()
    arrays, names = state_abroad(learner.state(), here)
    assert {name.partition(".")[0] for name in names} == {
        "items",
        "categories",
        "brands",
        "terms",
        "queries",
        "segments",
    }
    state = state_at_home(arrays, names, there)
    of_there = attributes(64)
    of_there.category[there.items.lookup(HERE)] = np.arange(N) % 3
    of_there.log_price[there.items.lookup(HERE)] = 2.0
    other = Learner(SMALL, 64, of_there, InterestSettings(), "cpu")
    other.load(state)
    assert other.n_examples == learner.n_examples
    again = other.export()
    for word in HERE:
        expected = vector(exported, here.items, word)
        assert vector(again, there.items, word) == pytest.approx(expected, abs=1e-5)

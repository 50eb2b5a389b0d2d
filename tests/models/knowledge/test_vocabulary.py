import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.knowledge.vocabulary import Vocabulary

WORDS = st.sampled_from([f"w{i}" for i in range(40)])
BATCHES = st.lists(st.lists(WORDS, max_size=30), max_size=30)
CAPACITIES = st.integers(8, 32)


class ByTheBook:
    """The promise of a vocabulary spelt out: one word at a time, no arrays."""

    def __init__(self, capacity):
        self.capacity = capacity
        self.index = {}
        self.touched = {}
        self.free = list(range(capacity))

    def encode(self, words, batch):
        for word in words:
            if word in self.index:
                self.touched[word] = batch
        return [self.one(word, batch) for word in words]

    def one(self, word, batch):
        if word not in self.index:
            if not self.free:
                self.free = self.evict(batch)
            if not self.free:
                return -1
            self.index[word] = self.free.pop(0)
            self.touched[word] = batch
        return self.index[word]

    def evict(self, batch):
        old = [word for word in self.index if self.touched[word] < batch]
        old.sort(key=lambda word: (self.touched[word], self.index[word]))
        return [self.index.pop(word) for word in old[: self.capacity // 8]]


def answers(capacity, batches):
    vocabulary = Vocabulary(capacity)
    return [(vocabulary.encode(words).tolist(), vocabulary.evicted().tolist()) for words in batches]


def test_words_are_numbered_as_they_come_and_a_repeat_gets_the_same_number():
    vocabulary = Vocabulary(8)
    assert vocabulary.encode(["b", "a", "b", "c"]).tolist() == [0, 1, 0, 2]
    assert vocabulary.encode(["c", "a"]).tolist() == [2, 1]
    assert (len(vocabulary), vocabulary.word(1), vocabulary.word(3), vocabulary.word(-1)) == (
        3,
        "a",
        None,
        None,
    )


def test_a_lookup_adds_and_touches_nothing():
    vocabulary = Vocabulary(8)
    vocabulary.encode(["old"])
    vocabulary.encode([f"new{i}" for i in range(7)])
    assert vocabulary.lookup(["old", "unheard"]).tolist() == [0, -1]
    # Looked up, not encoded: "old" is still the one untouched for longest.
    assert vocabulary.encode(["more"]).tolist() == [0]
    assert vocabulary.evicted().tolist() == [0]
    assert vocabulary.lookup(["old"]).tolist() == [-1]


def test_an_eighth_leaves_at_once_longest_untouched_first_ties_by_index():
    vocabulary = Vocabulary(16)
    vocabulary.encode([f"w{i}" for i in range(16)])
    vocabulary.encode(["w0", "w2"])
    # 16 // 8 = 2 leave: w1 and w3, the lowest of those not encoded again. The lower index is given out first.
    assert vocabulary.encode(["x"]).tolist() == [1]
    assert vocabulary.evicted().tolist() == [1, 3]
    assert (vocabulary.word(1), vocabulary.word(3), len(vocabulary)) == ("x", None, 15)
    assert vocabulary.encode(["y"]).tolist() == [3]
    assert vocabulary.evicted().tolist() == []


def test_words_of_the_batch_at_hand_do_not_leave():
    vocabulary = Vocabulary(8)
    vocabulary.encode([f"w{i}" for i in range(8)])
    kept = [f"w{i}" for i in range(7)]
    assert vocabulary.encode([*kept, "x"]).tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
    assert vocabulary.evicted().tolist() == [7]


def test_what_does_not_fit_beside_its_own_batch_gets_no_index():
    vocabulary = Vocabulary(8)
    # Ten different words, eight places: the last two get none, and the repeat of the first keeps its own.
    assert vocabulary.encode([*"abcdefghij", "a"]).tolist() == [0, 1, 2, 3, 4, 5, 6, 7, -1, -1, 0]
    assert vocabulary.evicted().tolist() == []
    assert vocabulary.encode(["j"]).tolist() == [0]


def test_an_empty_batch_is_answered_empty():
    assert Vocabulary(8).encode([]).tolist() == []


def test_fewer_than_eight_places_are_refused():
    with pytest.raises(ValueError, match="at least 8"):
        Vocabulary(7)


def test_evictions_that_nobody_asks_for_take_no_more_room_than_the_words():
    vocabulary = Vocabulary(8)
    for i in range(1000):
        vocabulary.encode([f"w{i}"])
    assert vocabulary.evicted().tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
    assert len(vocabulary._evicted) == 0


@given(CAPACITIES, BATCHES)
@settings(deadline=None)
def test_every_answer_is_the_one_by_the_book(capacity, batches):
    book = ByTheBook(capacity)
    assert [index for index, _ in answers(capacity, batches)] == [
        book.encode(words, batch) for batch, words in enumerate(batches)
    ]


@given(CAPACITIES, BATCHES)
@settings(deadline=None)
def test_the_same_calls_give_the_same_answers(capacity, batches):
    assert answers(capacity, batches) == answers(capacity, batches)


@given(CAPACITIES, BATCHES)
@settings(max_examples=200, deadline=None)
def test_an_index_is_stable_until_reported_as_evicted(capacity, batches):
    vocabulary = Vocabulary(capacity)
    holders = {}  # index to the word it was given to, as a user of indexes would remember it
    for words in batches:
        index = vocabulary.encode(words).tolist()
        for gone in vocabulary.evicted().tolist():
            holders.pop(gone)
        for word, i in zip(words, index, strict=True):
            assert i == -1 or holders.setdefault(i, word) == word
        assert [vocabulary.word(i) for i in holders] == list(holders.values())
        assert vocabulary.lookup(holders.values()).tolist() == list(holders)
        assert len(vocabulary) == len(holders) <= capacity
        assert all(0 <= i < capacity for i in holders)


@given(CAPACITIES, BATCHES)
@settings(deadline=None)
def test_only_a_batch_of_more_words_than_places_leaves_some_without(capacity, batches):
    for words, (index, _) in zip(batches, answers(capacity, batches), strict=True):
        fit = len(set(words)) <= capacity
        assert (-1 not in index) == fit
        assert len({i for i in index if i >= 0}) == min(len(set(words)), capacity)

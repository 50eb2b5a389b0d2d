import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.interest.evidence import Details
from models.kinds import Kind
from models.knowledge.base import _runs
from models.knowledge.facts import Place, gather
from models.retrieve.contract import Queries
from schemas.catalog import Item

START_MS = 1_700_000_000_000
NAMES = ["session_knn", "covisitation", "content", "search", "trending", "cold_start"]


def asks(knowledge, **columns):
    """Queries of one user that sees what is named; everything else is unknown."""
    row, nothing = np.full((1, 1), -1, np.int32), np.zeros((1, 1), np.float32)
    words = knowledge.vocabularies

    def indexes(vocabulary, name):
        named = columns.get(name, [])
        return vocabulary.lookup(named)[None, :] if named else row

    def ones(index):
        return np.ones(index.shape, np.float32)

    items = indexes(words.items, "items")
    categories, brands = indexes(words.categories, "categories"), indexes(words.brands, "brands")
    terms = indexes(words.terms, "terms")
    return Queries(
        now_s=np.array([knowledge.latest_s]),
        user=np.array([999], np.uint64),
        items=items,
        weights=ones(items),
        history=row,
        history_age_s=nothing,
        history_times=nothing.astype(np.int32),
        category=categories,
        category_weight=ones(categories),
        brand=brands,
        brand_weight=ones(brands),
        log_price=np.array([np.nan], np.float32),
        term=terms,
        term_weight=ones(terms),
        segment=words.segments.lookup([columns.get("segment", "")]),
        query=words.queries.lookup([columns.get("query", "")]),
    )


def named(knowledge, source, **columns):
    """Item ids that one source names, best first."""
    index = NAMES.index(source)
    found = knowledge.sources[index].candidates(asks(knowledge, **columns), 20)
    return [word for word in knowledge.vocabularies.items.words(found.items[0].tolist()) if word is not None]


def item(item_id, **more):
    return Item(**{"item_id": item_id, "time_ms": START_MS, **more})


def describe(knowledge, *items):
    knowledge.describe([(each.item_id, each) for each in items])


class TestLearningOnce:
    def test_the_same_facts_twice_are_learned_once(self, base, facts, row):
        knowledge, batch = base(), facts(row(5, "a"), row(6, "b"))
        knowledge.learn(batch)
        knowledge.learn(batch)
        assert (knowledge.n_interactions, knowledge.learned_to) == (2, {("events.browse", 0): 6})

    def test_of_an_overlapping_batch_only_the_new_rows_are_learned(self, base, facts, row):
        knowledge = base()
        knowledge.learn(facts(row(5, "a"), row(6, "b")))
        knowledge.learn(facts(row(6, "b"), row(7, "c")))
        assert knowledge.n_interactions == 3

    def test_offsets_without_interactions_are_passed_over_for_good(self, base, facts, row):
        knowledge = base()
        knowledge.learn(facts(row(5, "a"), last=9))
        knowledge.learn(facts(row(8, "b"), row(10, "c")))
        assert knowledge.n_interactions == 2  # 8 lies within what the first facts covered

    def test_partitions_do_not_hide_each_others_rows(self, base, facts, row):
        knowledge = base()
        knowledge.learn(facts(row(50, "a")))
        knowledge.learn(facts(row(5, "b"), partition=1))
        knowledge.learn(gather([Place("events.purchase", 0, 5)], [row(5, "c")]))
        assert knowledge.n_interactions == 3

    def test_what_old_rows_alone_name_is_not_even_looked_up(self, base, facts, row):
        knowledge = base()
        knowledge.learn(facts(row(5, "a"), last=6))
        knowledge.learn(facts(row(6, "old", query="old", segment="old", category="old"), row(7, "new")))
        words = knowledge.vocabularies
        assert (words.items.index("old"), words.items.index("new")) == (-1, 1)
        assert len(words.queries) == len(words.segments) == len(words.categories) == 0

    @given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 12)), max_size=20))
    @settings(max_examples=100, deadline=None)
    def test_any_overlapping_redeliveries_learn_each_row_once(self, base, facts, row, batches):
        """A redelivery starts anywhere at or before the end of what came, as after a rebalance."""
        rng = np.random.default_rng(3)
        rows = [row(offset, f"i{rng.integers(5)}", user=int(rng.integers(4))) for offset in range(40)]
        straight, repeated = base(), base()
        end = 0
        for back, size in [*batches, (0, 40)]:
            start = max(0, end - back)
            if rows[start : start + size]:
                repeated.learn(facts(*rows[start : start + size]))
                end = max(end, min(start + size, 40))
        straight.learn(facts(*rows))
        assert repeated.n_interactions == straight.n_interactions == 40
        for name in ("session_knn", "covisitation", "trending"):
            assert named(repeated, name, items=["i0"]) == named(straight, name, items=["i0"])


class TestHints:
    def test_events_say_what_an_item_is_while_the_catalogue_is_silent(self, base, facts, row):
        knowledge = base()
        knowledge.learn(facts(row(1, "a", category="c1", brand="b1", price=9.0)))
        assert knowledge.vocabularies.categories.words(knowledge.attributes.category[:1]) == ["c1"]
        assert knowledge.vocabularies.brands.words(knowledge.attributes.brand[:1]) == ["b1"]
        assert knowledge.attributes.log_price[0] == pytest.approx(np.log(10.0))

    def test_what_an_event_leaves_out_stays_as_the_one_before_said(self, base, facts, row):
        knowledge = base()
        knowledge.learn(facts(row(1, "a", category="c1"), row(2, "a", price=9.0), row(3, "a")))
        assert knowledge.attributes.category[0] == 0
        assert knowledge.attributes.log_price[0] == pytest.approx(np.log(10.0))

    def test_the_last_price_holds(self, base, facts, row):
        knowledge = base()
        knowledge.learn(
            facts(row(1, "a", price=1.0), row(2, "b", price=2.0), row(3, "a", price=3.0), row(4, "a"))
        )
        assert np.exp(knowledge.attributes.log_price[:2]).tolist() == pytest.approx([4.0, 3.0])

    def test_an_interaction_counts_for_the_category_that_held_when_it_came(self, base, facts, row):
        knowledge = base()
        knowledge.learn(
            facts(row(1, "a", category="old"), row(2, "a", category="new"), row(3, "b", category="new"))
        )
        assert named(knowledge, "content", categories=["old"]) == ["a"]
        # Both were counted once in "new", at equal weight but for a second's decay: the later one is ahead.
        assert named(knowledge, "content", categories=["new"]) == ["b", "a"]

    def test_the_catalogue_goes_before_events_field_by_field_whichever_came_first(self, base, facts, row):
        said = facts(row(1, "a", category="by event", brand="by event", price=1.0))
        for first in ("event", "catalogue"):
            knowledge = base()
            if first == "event":
                knowledge.learn(said)
            describe(knowledge, item("a", category="by catalogue"))
            if first == "catalogue":
                knowledge.learn(said)
            words, attributes = knowledge.vocabularies, knowledge.attributes
            assert words.categories.word(int(attributes.category[0])) == "by catalogue"
            assert words.brands.word(int(attributes.brand[0])) == "by event"
            assert np.exp(attributes.log_price[0]) == pytest.approx(2.0)

    def test_rows_are_cut_where_an_item_changes_after_it_was_counted(self):
        item = np.array([0, 1, 0, 0, 1, 0], np.int32)
        category = [-1, 5, 7, -1, 5, 8]
        brand = [-1, -1, -1, -1, -1, -1]
        # Item 0 was counted at row 0 without a category and gets one at row 2, another at row 5; item 1 keeps its own.
        assert _runs(item, [category, brand], [[-1] * 6, [-1] * 6]) == [0, 2, 5]
        # Held from before: row 2 says nothing new.
        assert _runs(item[:3], [category[:3], brand[:3]], [[7, -1, 7], [-1] * 3]) == [0]

    def test_two_lines_of_one_order_for_the_same_item_are_one_purchase(self, base, facts, row):
        knowledge = base()
        orders = [row(offset, "a", user=offset, kind=Kind.PURCHASE) for offset in range(10) for _ in range(2)]
        knowledge.learn(facts(*orders))
        assert knowledge.n_interactions == 20
        assert not knowledge.rebuying.rebuyable.any()

    def test_an_item_that_people_buy_again_is_known_as_such(self, base, facts, row):
        knowledge = base()
        # Users 0 to 4 buy "a" twice, so 5 of 10 purchases are repeats; views do not count.
        orders = [row(offset, "a", user=offset % 5, kind=Kind.PURCHASE) for offset in range(10)]
        views = [row(offset, "b", user=1) for offset in range(10, 30)]
        knowledge.learn(facts(*orders, *views))
        assert knowledge.rebuying.rebuyable[:2].tolist() == [1, 0]


class TestCatalogue:
    def test_it_says_what_an_item_is_and_whether_it_can_be_bought(self, base):
        knowledge = base()
        describe(knowledge, item("a", category="c", brand="b", price=9.0), item("x", available=False))
        assert knowledge.facts_of("a") == Details("c", "b", pytest.approx(9.0), None)
        assert knowledge.attributes.available[:2].tolist() == [1, 0]
        assert knowledge.all_catalogued(["a", "x"])
        assert not knowledge.all_catalogued(["a", "unheard"])

    def test_facts_of_an_item_never_come_from_events(self, base, facts, row):
        knowledge = base()
        knowledge.learn(facts(row(1, "a", category="c", brand="b", price=9.0)))
        assert knowledge.facts_of("a") is None
        describe(knowledge, item("a", brand="by catalogue"))
        assert knowledge.facts_of("a") == Details(brand="by catalogue")

    def test_a_new_entry_takes_the_place_of_the_old_one_whole(self, base):
        knowledge, fresh = base(), base()
        describe(knowledge, item("a", title="red shoe", category="c", brand="b", price=9.0, available=False))
        describe(knowledge, item("a", price=5.0))
        describe(fresh, item("a", price=5.0))  # all that a worker reads that starts after compaction
        assert knowledge.facts_of("a") == fresh.facts_of("a") == Details(price=pytest.approx(5.0))
        assert knowledge.attributes.available[0] == fresh.attributes.available[0] == 1
        assert named(knowledge, "content", terms=["red"]) == []

    def test_as_many_words_of_an_item_are_kept_as_the_settings_say(self, base):
        knowledge = base()
        describe(knowledge, item("a", title=" ".join(f"w{n}" for n in range(1, 20))))
        assert named(knowledge, "content", terms=["w16"]) == ["a"]  # retrieve.content.item_terms is 16
        assert named(knowledge, "content", terms=["w17"]) == []

    def test_a_removed_item_cannot_be_bought_and_is_not_described(self, base):
        knowledge = base()
        describe(knowledge, item("a", title="red shoe", category="c"))
        knowledge.describe([("a", None)])
        assert knowledge.attributes.available[0] == 0
        assert knowledge.facts_of("a") is None
        assert not knowledge.all_catalogued(["a"])
        assert named(knowledge, "content", terms=["red"]) == []

    def test_the_removal_of_an_item_that_nobody_knows_is_kept(self, base, facts, row):
        knowledge = base()
        knowledge.describe([("a", None)])
        knowledge.learn(facts(row(1, "a")))
        assert knowledge.attributes.available[0] == 0

    def test_an_item_that_comes_back_is_described_as_if_new(self, base):
        knowledge = base()
        describe(knowledge, item("a", category="old", price=1.0))
        knowledge.describe([("a", None)])
        describe(knowledge, item("a", title="red shoe", category="new"))
        assert knowledge.facts_of("a") == Details(category="new")
        assert knowledge.attributes.available[0] == 1
        assert named(knowledge, "content", terms=["red"]) == ["a"]

    def test_several_entries_of_an_item_in_one_batch_apply_in_order(self, base):
        knowledge = base()
        knowledge.describe(
            [("a", item("a", category="first")), ("a", None), ("a", item("a", category="last"))]
        )
        assert knowledge.facts_of("a") == Details(category="last")
        assert knowledge.attributes.available[0] == 1

    def test_an_item_is_as_old_as_the_first_that_was_heard_of_it(self, base, facts, row):
        knowledge = base()
        describe(knowledge, item("a", time_ms=START_MS + 50_000))
        describe(knowledge, item("a", time_ms=START_MS + 90_000))  # a change of price makes nothing new
        assert knowledge.attributes.created_s[0] == START_MS / 1000 + 50
        knowledge.learn(facts(row(20, "a"), row(30, "a")))
        assert knowledge.attributes.created_s[0] == START_MS / 1000 + 20
        describe(knowledge, item("a", time_ms=START_MS + 99_000, created_ms=START_MS + 7_000))
        assert knowledge.attributes.created_s[0] == START_MS / 1000 + 7

    def test_a_new_item_is_found_by_its_words_category_and_brand(self, base):
        knowledge = base()
        describe(knowledge, item("a", title="Red Shoe", category="c", brand="b"))
        assert named(knowledge, "content", terms=["red"]) == ["a"]
        assert named(knowledge, "content", categories=["c"]) == ["a"]
        assert named(knowledge, "content", brands=["b"]) == ["a"]

    def test_more_entries_than_there_is_room_for_leave_some_out(self, base):
        knowledge = base()
        describe(knowledge, *(item(f"i{i}", category="c") for i in range(100)))
        assert len(knowledge.vocabularies.items) == 64
        assert knowledge.facts_of("i99") is None


class TestForgetting:
    """When a vocabulary is full, what was not named for longest makes room, and takes all it meant with it."""

    def test_an_evicted_item_leaves_nothing_under_the_name_of_the_next(self, base, facts, row):
        knowledge = base()
        describe(knowledge, item("old", title="red", category="c", brand="b", price=9.0, available=False))
        pairs = [
            row(2 * n + k, name, user=n, session=n + 1, query="q", segment="web")
            for n in range(20)
            for k, name in enumerate(["old", "friend"])
        ]
        bought = [row(100 + n, "old", user=n % 2, kind=Kind.PURCHASE) for n in range(10)]
        knowledge.learn(facts(*pairs, *bought))
        assert knowledge.rebuying.rebuyable[0] == 1
        # "old" has index 0, as the longest unnamed it is the first to go: 62 others fill what is left of 64.
        knowledge.learn(
            facts(row(200, "friend"), *(row(201 + n, f"n{n}", user=90, session=90) for n in range(62)))
        )
        knowledge.learn(facts(row(300, "friend", user=91, session=91), row(301, "new", user=91, session=91)))
        assert knowledge.vocabularies.items.word(0) == "new"
        assert knowledge.vocabularies.items.index("old") == -1
        attributes = knowledge.attributes
        assert (attributes.category[0], attributes.brand[0], attributes.available[0]) == (-1, -1, 1)
        assert np.isnan(attributes.log_price[0])
        assert attributes.created_s[0] == START_MS / 1000 + 301
        assert knowledge.facts_of("new") is None
        assert knowledge.rebuying.rebuyable[0] == 0
        assert named(knowledge, "content", terms=["red"], categories=["c"], brands=["b"]) == []
        assert "new" not in named(knowledge, "search", query="q")
        # "new" is known for one view among many, not for the 30 interactions of "old".
        assert named(knowledge, "trending").index("friend") < named(knowledge, "trending").index("new")
        assert "new" not in named(knowledge, "cold_start", segment="web")[:1]
        # Both sources name "new" for the one session in which it came after "friend".
        assert set(named(knowledge, "session_knn", items=["new"])) == {"new", "friend"}
        assert named(knowledge, "covisitation", items=["new"]) == ["friend"]

    @pytest.mark.parametrize(
        ("kind", "vocabulary", "source", "asked"),
        [
            ("category", "categories", "content", "categories"),
            ("brand", "brands", "content", "brands"),
            ("query", "queries", "search", "query"),
        ],
    )
    def test_an_evicted_word_leaves_nothing_to_the_next(
        self, base, facts, row, kind, vocabulary, source, asked
    ):
        knowledge = base(max_categories=8, max_brands=8, max_queries=8)
        for n in range(9):  # the ninth word takes the place of the first
            knowledge.learn(facts(row(n, f"i{n}", **{kind: f"w{n}"})))
        words = getattr(knowledge.vocabularies, vocabulary)
        assert (words.index("w0"), words.index("w8")) == (-1, 0)

        def named_for(word):
            return named(knowledge, source, **{asked: word if asked == "query" else [word]})

        assert named_for("w0") == []
        assert [named_for(f"w{n}") for n in range(1, 9)] == [[f"i{n}"] for n in range(1, 9)]

    def test_an_item_of_an_evicted_category_has_none(self, base, facts, row):
        knowledge = base(max_categories=8)
        describe(knowledge, item("i0", category="w0"))
        for n in range(1, 9):
            knowledge.learn(facts(row(n, f"i{n}", category=f"w{n}")))
        assert knowledge.vocabularies.categories.word(0) == "w8"
        assert knowledge.attributes.category[:9].tolist() == [-1, 1, 2, 3, 4, 5, 6, 7, 0]
        assert knowledge.facts_of("i0") == Details(category=None)

    def test_an_evicted_segment_leaves_its_popularity_to_nobody(self, base, facts, row):
        knowledge = base(max_segments=8)
        cold = knowledge.sources[NAMES.index("cold_start")]
        for n in range(8):
            knowledge.learn(facts(*(row(100 * n + k, f"i{n}", segment=f"w{n}") for k in range(50))))
        everywhere = cold.candidates(asks(knowledge), 20)
        knowledge.vocabularies.segments.encode([f"w{n}" for n in range(1, 8)])
        knowledge._encode("segments", ["w8"])
        assert knowledge.vocabularies.segments.word(0) == "w8"
        # Nothing is known of the new segment itself: it gets what is popular everywhere, no more of i0.
        np.testing.assert_array_equal(
            cold.candidates(asks(knowledge, segment="w8"), 20).scores, everywhere.scores
        )

    def test_an_evicted_token_finds_nothing_under_the_next(self, base):
        knowledge = base(max_terms=8)
        for n in range(9):
            describe(knowledge, item(f"i{n}", title=f"w{n}"))
        assert knowledge.vocabularies.terms.word(0) == "w8"
        assert [named(knowledge, "content", terms=[f"w{n}"]) for n in range(9)] == [
            [],
            *([f"i{n}"] for n in range(1, 9)),
        ]

    @given(st.lists(st.lists(st.integers(0, 200), min_size=1, max_size=20), min_size=1, max_size=25))
    @settings(max_examples=40, deadline=None)
    def test_candidates_are_only_ever_items_that_share_the_trait_asked_for(self, base, facts, row, batches):
        """Item n has category, brand and query n % 10 alone, so any other name is a left-over of an evicted one."""
        knowledge = base(max_categories=8, max_brands=8, max_queries=8)
        offset = 0
        for batch in batches:
            rows = []
            for n in batch:
                trait = f"t{n % 10}"
                rows.append(
                    row(
                        offset,
                        f"i{n}",
                        user=n % 10,
                        session=n % 10 + 1,
                        category=trait,
                        brand=trait,
                        query=trait,
                    )
                )
                offset += 1
            knowledge.learn(facts(*rows))
        for trait in range(10):
            word = f"t{trait}"
            found = {
                *named(knowledge, "content", categories=[word], brands=[word]),
                *named(knowledge, "search", query=word),
            }
            assert {int(name[1:]) % 10 for name in found} <= {trait}
        for name in list(knowledge.vocabularies.items._index)[:20]:
            neighbours = {
                *named(knowledge, "session_knn", items=[name]),
                *named(knowledge, "covisitation", items=[name]),
            }
            assert {int(other[1:]) % 10 for other in neighbours} <= {int(name[1:]) % 10}


def test_memory_is_bounded_however_many_items_come_by(base, facts, row):
    knowledge = base(max_items=1_000)

    def visit(start, end):
        for at in range(start, end, 500):
            rows = [
                row(
                    n,
                    f"item{n}",
                    user=n // 5,
                    session=n // 5 + 1,
                    category=f"c{n}",
                    brand=f"b{n}",
                    query=f"q{n}",
                )
                for n in range(at, at + 500)
            ]
            knowledge.learn(facts(*rows))
            knowledge.describe([(f"item{at}", item(f"item{at}", title=f"word{at} and others"))])

    visit(0, 190_000)
    size = sum(source.size_bytes for source in knowledge.sources)
    tracemalloc.start()
    visit(190_000, 195_000)
    before = tracemalloc.get_traced_memory()[0]
    visit(195_000, 200_000)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert knowledge.n_interactions == 200_000
    assert len(knowledge.vocabularies.items) <= 1_000
    assert sum(source.size_bytes for source in knowledge.sources) == size
    assert grown < 100_000  # one id kept of each of 5,000 items would be 300,000

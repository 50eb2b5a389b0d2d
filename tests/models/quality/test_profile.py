import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.quality.lag import N_BINS
from models.quality.profile import OTHER_NAMES, Profile, add_unknown, merge
from models.quality.sketch import N_NUMBER_BINS, Keys, Labels, add_keys, add_labels, add_numbers

COUNTS = st.dictionaries(st.sampled_from("abcd"), st.integers(1, 100))
NUMBERS = (
    "n_accepted",
    "n_duplicates",
    "n_late",
    "n_timely",
    "n_item_checked",
    "n_item_known",
    "n_view_checked",
    "n_viewed",
)
TABLES = (
    "rejected", "shapes", "absent", "invalid", "unknown_fields", "compared", "agreed", "recipes", "cleaned",
)  # fmt: skip


def one_bin(bin_and_count):
    bin_, n = bin_and_count
    return [n if i == bin_ else 0 for i in range(N_BINS)]


VALUES = st.lists(st.sampled_from(["a", "bb", "ccc", "dddd"]), max_size=4)


def bins_of(values):
    bins = [0] * N_NUMBER_BINS
    add_numbers(bins, list(values))
    return bins


def labels_of(values):
    labels = Labels()
    add_labels(labels, values)
    return labels


def keys_of(values):
    keys = Keys()
    add_keys(keys, values)
    return keys


profiles = st.builds(
    Profile,
    source=st.just("events.browse"),
    partitions=st.lists(st.integers(0, 7), min_size=1, unique=True).map(sorted),
    start_ms=st.just(60_000),
    width_ms=st.just(60_000),
    lag=st.tuples(st.integers(0, N_BINS - 1), st.integers(0, 9)).map(one_bin),
    **{name: st.integers(0, 1000) for name in NUMBERS},
    **dict.fromkeys(TABLES, COUNTS),
    numbers=st.just({}) | VALUES.map(lambda values: {"price": bins_of(map(len, values))}),
    labels=st.just({}) | VALUES.map(lambda values: {"brand": labels_of(values)}),
    keys=st.just({}) | VALUES.map(lambda values: {"item_id": keys_of(values)}),
)


@given(profiles, profiles)
@settings(deadline=None)
def test_merge_is_commutative_and_changes_neither(a, b):
    before = copy.deepcopy((a, b))
    assert merge(a, b) == merge(b, a)
    assert (a, b) == before


@given(profiles, profiles, profiles)
@settings(deadline=None)
def test_merge_is_associative(a, b, c):
    assert merge(merge(a, b), c) == merge(a, merge(b, c))


@given(profiles)
@settings(deadline=None)
def test_an_empty_profile_changes_nothing(a):
    empty = Profile(source=a.source, partitions=[], start_ms=a.start_ms, width_ms=a.width_ms)
    assert merge(a, empty) == a


@given(profiles, profiles)
@settings(deadline=None)
def test_merge_adds_every_count(a, b):
    both = merge(a, b)
    for name in NUMBERS:
        assert getattr(both, name) == getattr(a, name) + getattr(b, name)
    for name in TABLES:
        assert sum(getattr(both, name).values()) == sum(
            [*getattr(a, name).values(), *getattr(b, name).values()]
        )
    assert both.n_events == a.n_events + b.n_events
    assert set(Profile.__struct_fields__) == {
        *NUMBERS,
        *TABLES,
        "lag",
        "numbers",
        "labels",
        "keys",
        "source",
        "partitions",
        "start_ms",
        "width_ms",
    }


@pytest.mark.parametrize("other", [{"source": "events.search"}, {"start_ms": 0}, {"width_ms": 1}])
def test_profiles_of_different_windows_do_not_merge(other):
    of = {"source": "events.browse", "partitions": [0], "start_ms": 60_000, "width_ms": 60_000}
    with pytest.raises(ValueError, match="do not merge"):
        merge(Profile(**of), Profile(**of | other))


def test_unknown_names_beyond_sixteen_go_under_a_star_and_long_names_are_cut():
    counts = {}
    add_unknown(counts, {f"f{i:02}": 1 for i in range(20)} | {OTHER_NAMES: 5})
    add_unknown(counts, {"f03": 2, "x" * 100: 1})
    # 16 names fit, 4 of the first call and 1 of the second do not: 4 + 5 + 1 = 10.
    assert counts == {f"f{i:02}": 1 for i in range(16)} | {"f03": 3, OTHER_NAMES: 10}
    cut = {}
    add_unknown(cut, {"x" * 100: 1, "x" * 99: 1})
    assert cut == {"x" * 48: 2}

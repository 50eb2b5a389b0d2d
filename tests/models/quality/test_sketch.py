import pytest

from models.quality.sketch import (
    MAX_EXAMPLE_BYTES,
    N_NUMBER_BINS,
    Keys,
    Labels,
    add_keys,
    add_labels,
    add_numbers,
    merge_keys,
    merge_labels,
    n_distinct,
)


def keys_of(values):
    keys = Keys()
    add_keys(keys, values)
    return keys


def labels_of(*values):
    labels = Labels()
    add_labels(labels, values)
    return labels


def test_numbers_beyond_the_bins_count_in_the_outermost():
    bins = [0] * N_NUMBER_BINS
    add_numbers(bins, [0.0, -1.0, 1e12, None])
    assert (bins[0], bins[-1], sum(bins)) == (2, 1, 3)


def test_a_hundredfold_price_moves_by_twenty_bins():
    euros, cents = [0] * N_NUMBER_BINS, [0] * N_NUMBER_BINS
    add_numbers(euros, [19.9])
    add_numbers(cents, [1990])
    assert cents.index(1) - euros.index(1) == 20


@pytest.mark.parametrize("n", [1, 10, 100, 1_000, 20_000])
def test_distinct_ids_are_estimated_within_three_standard_errors(n):
    ids = [f"u{i}" for i in range(n)]
    assert n_distinct(keys_of(ids * 3)) == pytest.approx(n, rel=0.28, abs=0.1)


def test_batching_changes_no_sketch_and_halves_merge_to_the_whole():
    ids = [f"u{i % 37}" for i in range(500)]
    whole, step_by_step = keys_of(ids), Keys()
    for each in ids:
        add_keys(step_by_step, [each])
    assert step_by_step == whole == merge_keys(keys_of(ids[:200]), keys_of(ids[200:]))
    halves = merge_labels(labels_of("b", "a", None), labels_of("c", "a"))
    assert halves == labels_of("a", "a", "b", "c")


def test_the_example_of_a_group_is_cut_short_between_characters():
    (example,) = filter(None, labels_of("é" * 40).examples)
    assert example == "é" * (MAX_EXAMPLE_BYTES // 2)

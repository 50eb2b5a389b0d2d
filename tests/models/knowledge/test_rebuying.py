import numpy as np

from models.knowledge.rebuying import Rebuying


def update(rebuying: Rebuying, *pairs: tuple[int, int]) -> None:
    users, items = zip(*pairs, strict=True)
    rebuying.update(np.array(users, np.uint64), np.array(items, np.int32))


def test_an_item_is_bought_again_from_the_purchase_that_makes_both_its_counts_suffice():
    rebuying = Rebuying(4, min_purchases=5, min_share=0.2)
    update(rebuying, (1, 2), (1, 2), (2, 2), (3, 2))
    # Four purchases, one of them a repeat: a share of 1/4 is enough, four purchases are not.
    assert rebuying.rebuyable.tolist() == [0, 0, 0, 0]
    update(rebuying, (4, 2))
    # Five purchases, one a repeat: 1/5 is just enough.
    assert rebuying.rebuyable.tolist() == [0, 0, 1, 0]
    update(rebuying, (5, 2))
    # Six, one a repeat: 1/6 is less than 1/5.
    assert rebuying.rebuyable.tolist() == [0, 0, 0, 0]


def test_an_item_that_everybody_buys_once_is_not_bought_again():
    rebuying = Rebuying(2)
    update(rebuying, *((user, 0) for user in range(1_000)))
    assert rebuying.rebuyable.tolist() == [0, 0]


def test_the_purchases_of_other_items_do_not_count():
    rebuying = Rebuying(8)
    update(rebuying, *((1, item) for item in range(8)), *((user, 0) for user in range(2, 9)))
    assert not rebuying.rebuyable.any()


def test_any_batching_gives_the_same_counts():
    rng = np.random.default_rng(1)
    users, items = rng.integers(0, 50, 2_000).astype(np.uint64), rng.integers(0, 20, 2_000).astype(np.int32)
    whole, parts = Rebuying(20, slots_bits=8), Rebuying(20, slots_bits=8)
    whole.update(users, items)
    for start in range(0, 2_000, 37):
        parts.update(users[start : start + 37], items[start : start + 37])
    np.testing.assert_array_equal(whole.rebuyable, parts.rebuyable)
    np.testing.assert_array_equal(whole._again, parts._again)


def test_a_forgotten_item_starts_anew_and_its_buyers_are_strangers_to_whatever_gets_its_index():
    rebuying = Rebuying(2, min_purchases=1, min_share=0.1)
    update(rebuying, (1, 0), (1, 0))
    assert rebuying.rebuyable.tolist() == [1, 0]
    rebuying.forget(np.array([0], np.int32))
    assert rebuying.rebuyable.tolist() == [0, 0]
    update(rebuying, (1, 0))
    # User 1 bought what had index 0 before, not what has it now.
    assert rebuying.rebuyable.tolist() == [0, 0]
    update(rebuying, (1, 0))
    assert rebuying.rebuyable.tolist() == [1, 0]


def test_when_pairs_collide_it_errs_on_the_side_of_not_again():
    rebuying = Rebuying(1_000, slots_bits=1, min_purchases=1)
    rng = np.random.default_rng(2)
    # Two slots for a thousand pairs, none of them twice in a row: a pair is gone before it comes back.
    update(rebuying, *((int(user), item) for item, user in enumerate(rng.permutation(1_000))))
    assert not rebuying.rebuyable.any()

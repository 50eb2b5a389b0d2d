import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models.retrieve.top_k import ranked, top_k


@given(
    scores=st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.0]), min_size=0, max_size=40),
    k=st.integers(0, 12),
    seed=st.integers(0, 9),
)
@settings(max_examples=200, deadline=None)
def test_the_heap_selects_what_sorting_would(scores: list[float], k: int, seed: int) -> None:
    values = np.array([*scores, 9.0], np.float32)
    indexes = np.random.default_rng(seed).permutation(len(scores)).astype(np.int32)
    best, best_scores = np.full(k, -1, np.int32), np.zeros(k, np.float32)
    n = top_k(values, indexes, len(scores), best, best_scores)
    expected = [i for i in sorted(range(len(scores)), key=lambda i: (-scores[i], i)) if scores[i] > 0][:k]
    assert best[:n].tolist() == expected
    assert best_scores[:n].tolist() == [scores[i] for i in expected]
    assert ranked(indexes, values[indexes], k)[0].tolist() == expected

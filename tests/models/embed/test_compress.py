import numpy as np

from models.embed.compress import OF_ROWS, compressed
from models.embed.exported import Exported
from models.embed.portable import abroad, at_home
from models.knowledge.vocabulary import Vocabularies, Vocabulary

N, D = 200, 16


def vocabularies() -> Vocabularies:
    made = Vocabularies(*(Vocabulary(256) for _ in Vocabularies._fields))
    made.items.encode([f"i{i}" for i in range(N)])
    made.queries.encode(["red shoe"])
    made.segments.encode(["web"])
    return made


def exported() -> Exported:
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((N, D)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Exported(
        np.arange(N, dtype=np.int32),
        vectors,
        np.zeros(1, np.int32),
        np.full((1, D), 1e-6, np.float32),
        np.zeros(1, np.int32),
        np.zeros((1, D), np.float32),
        {"out.weight": rng.standard_normal((D, D)).astype(np.float32)},
    )


def test_what_comes_home_is_off_by_half_a_step_of_half_precision() -> None:
    words, whole = vocabularies(), exported()
    arrays, names = abroad(whole, words)
    home = at_home(compressed(arrays), names, words)
    assert home.vectors.dtype == np.float32
    # 11 bits of significand: half a step is 2^-11 of the value; below 2^-14 the step is 2^-24.
    bound = np.maximum(np.abs(whole.vectors) * 2.0**-11, 2.0**-25)
    assert (np.abs(home.vectors - whole.vectors) <= bound).all()
    assert np.abs(home.query_vectors - whole.query_vectors).max() <= 2.0**-25


def test_rows_take_half_the_bytes_and_weights_stay() -> None:
    arrays, _ = abroad(exported(), vocabularies())
    less = compressed(arrays)
    assert set(less) == set(arrays)
    for name in OF_ROWS:
        assert 2 * less[name].nbytes == arrays[name].nbytes
    assert less["weights.out.weight"] is arrays["weights.out.weight"]


def test_compressing_twice_changes_nothing_more() -> None:
    once = compressed(abroad(exported(), vocabularies())[0])
    for name, array in compressed(once).items():
        np.testing.assert_array_equal(array, once[name])

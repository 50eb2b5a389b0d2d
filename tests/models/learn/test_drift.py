import numpy as np
import pytest

from models.kinds import Kind
from models.learn.drift import Change, Drift
from models.learn.groups import SCALE, Groups
from models.learn.judge import Judged
from models.learn.settings import DriftSettings

NAMES = ["always", "knn.score", "trending.score"]
WATCHED = ["knn.score", "trending.score", "of_no_source.score"]
DEFAULTS = DriftSettings()
BATCH = 50

Lists = tuple[np.ndarray, np.ndarray]
"""(n,) losses in nats, and (n, F) features of what was wanted."""


def stream(n: int, rng: np.random.Generator, loss: float = 0.0, knn: float = 0.0) -> Lists:
    """Losses of mean 3 and deviation 1.34, and scores that are often 0. ``loss`` and ``knn`` move them."""
    losses = rng.gamma(5.0, 0.6, n) + loss
    features = rng.random((n, len(NAMES))) * (rng.random((n, len(NAMES))) < 0.4)
    features[:, 1] += knn
    return losses.astype(np.float32), features


def watch(drift: Drift, *parts: Lists) -> list[tuple[int, Change]]:
    """Changes, each with the number of lists that came before its batch."""
    losses, features = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    x = np.round(features[:, None, :] / SCALE).astype(np.int16)
    noticed = []
    for start in range(0, len(losses), BATCH):
        at = slice(start, start + BATCH)
        n = len(losses[at])
        nothing = np.full(n, np.nan, np.float32)
        groups = Groups(
            x[at],
            np.ones(n, np.int32),
            np.zeros(n, np.int32),
            np.ones(n, np.float32),
            np.zeros(n, np.uint8),
            np.ones(n, np.uint8),
            np.zeros(n, np.uint8),
            np.ones((n, 1), np.float32),
            np.full(n, Kind.CLICK, np.uint8),
        )
        change = drift.watch(groups, Judged(nothing, losses[at], nothing, nothing, nothing))
        if change:
            noticed.append((start, change))
    return noticed


def shifted(seed: int, settings: DriftSettings = DEFAULTS, **moved: float) -> list[tuple[int, Change]]:
    """What is noticed of 4,000 usual lists and 2,000 that are moved, from the shift on."""
    rng = np.random.default_rng(seed)
    noticed = watch(Drift(settings, NAMES, WATCHED), stream(4_000, rng), stream(2_000, rng, **moved))
    return [(start - 4_000, change) for start, change in noticed if start >= 4_000]


@pytest.mark.parametrize(("rise", "within"), [(0.3, 700), (0.5, 400), (1.0, 50)])
def test_a_rise_of_the_loss_is_noticed(rise: float, within: int) -> None:
    for seed in (1, 2, 3):
        start, change = shifted(seed, loss=rise)[0]
        assert start <= within
        assert change.signal == "loss"
        assert change.before == pytest.approx(3.0, abs=0.3)


def test_adwin_alone_notices_a_rise_of_the_loss() -> None:
    deaf = DEFAULTS.model_copy(update={"threshold": 1e9})
    for seed in (1, 2, 3):
        start, change = shifted(seed, deaf, loss=0.5)[0]
        assert (change.signal, change.detector) == ("loss", "adwin")
        assert start <= 500


def test_a_shift_of_what_is_wanted_is_noticed_by_its_feature() -> None:
    for seed in (1, 2, 3):
        start, change = shifted(seed, knn=0.2)[0]
        assert start <= 300
        assert (change.signal, change.detector) == ("knn.score", "adwin")
        assert change.before == pytest.approx(0.2, abs=0.05)  # 0.4 of the time 0.5


def test_a_loss_that_falls_is_no_drift() -> None:
    assert all(shifted(seed, loss=-1.0) == [] for seed in (1, 2, 3))


def false_alarms(settings: DriftSettings, n_streams: int) -> int:
    """In streams of 50,000 lists that never change."""
    return sum(
        len(watch(Drift(settings, NAMES, WATCHED[:1]), stream(50_000, np.random.default_rng(seed))))
        for seed in range(n_streams)
    )


def test_a_stream_that_never_changes_all_but_never_alarms() -> None:
    """One alarm in a million lists; here it is half of them."""
    assert false_alarms(DEFAULTS, 10) <= 2


def test_at_half_the_threshold_alarms_are_false_now_and_then() -> None:
    """41 in a million lists at 50 nats; here it is a quarter of them. None of them is ADWIN's."""
    assert 2 <= false_alarms(DEFAULTS.model_copy(update={"threshold": 50.0}), 5) <= 20


def test_after_a_reaction_there_is_rest() -> None:
    drift = Drift(DEFAULTS, NAMES, WATCHED)
    rng = np.random.default_rng(4)
    ((first, _),) = watch(drift, stream(1_000, rng), stream(200, rng, loss=3.0))
    assert 1_000 <= first < 1_200
    # 250 lists on, another rise: too early to count.
    assert watch(drift, stream(50, rng, loss=3.0), stream(150, rng, loss=6.0)) == []


def test_lists_without_a_loss_are_passed_over() -> None:
    drift = Drift(DEFAULTS.model_copy(update={"rest": 10}), NAMES, WATCHED)
    rng = np.random.default_rng(5)
    usual, silent = stream(2_000, rng), stream(2_000, rng, knn=0.5)
    silent[0][:] = np.nan
    assert watch(drift, usual, silent) == []


def test_the_batches_do_not_matter() -> None:
    rng = np.random.default_rng(6)
    parts = stream(2_000, rng), stream(500, rng, knn=0.4)
    (start, change), *_ = watch(Drift(DEFAULTS, NAMES, WATCHED), *parts)
    drift = Drift(DEFAULTS, NAMES, WATCHED)
    one_by_one = [
        found
        for i in range(start + BATCH)
        for _, found in watch(drift, tuple(np.concatenate(c)[i : i + 1] for c in zip(*parts, strict=True)))
    ]
    assert one_by_one == [change]

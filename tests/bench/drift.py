"""What drift handling is worth after people's habits change: ``python tests/bench/drift.py``.

Serenade's clicks with a change put in halfway. ``returns begin``: until then clicks on items that the session had
before are left out, from then on they are there. ``returns end``: the other way round. The learned ranking with drift
handling and without follow the same events, tried before they are learned; all else is equal. Recovered is the first
trial after the change from which on the reciprocal rank, averaged over the last 500 trials, has come back to 97% of
what the same ranking reaches in the last quarter of the log.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from bench_result import write

from models.evaluate.intervals import intervals
from models.evaluate.measures import measured
from models.evaluate.of_path import OfPath
from models.evaluate.prequential import Prequential
from models.learn.settings import DriftSettings
from models.path import Path as PurePath
from models.retrieve.contract import F64
from schemas.events import AnyEvent, Browse
from streams.evaluation import REPEATS, settings_of
from streams.log import read_log

LOG = Path(__file__).parents[3] / "shared" / "data" / "serenade" / "train.tsv.gz"
WINDOW, SHARE = 500, 0.97
SPANS = ((0, 500), (500, 2_000), (2_000, 8_000))
"""Trials after the change that are averaged."""


def changed(events: Sequence[AnyEvent], *, returns_first: bool) -> Iterator[AnyEvent]:
    """The log without returns in one of its halves."""
    half, seen = len(events) // 2, set[tuple[str, str]]()
    for at, event in enumerate(events):
        assert isinstance(event, Browse)
        what = event.user_id, event.item_id
        if what in seen and (at < half) != returns_first:
            continue
        seen.add(what)
        yield event


def recommender(name: str, drift: DriftSettings) -> OfPath:
    settings, _ = settings_of(
        None, [*(f"{n}={v}" for n, v in REPEATS.items()), "retrieve.recent.current=true"]
    )
    path = settings.path()
    learn = path.learn.model_copy(update={"drift": drift, "challengers": ()})
    return OfPath(PurePath(path._replace(learn=learn)), name)


def recovered(reciprocal_ranks: F64, change: int) -> int | None:
    """Trials from the change on."""
    goal = SHARE * reciprocal_ranks[-len(reciprocal_ranks) // 4 :].mean()
    upto = np.concatenate([[0.0], np.cumsum(reciprocal_ranks[change:])])
    means = (upto[WINDOW:] - upto[:-WINDOW]) / WINDOW
    reached = np.flatnonzero(means >= goal)
    return int(reached[0]) + WINDOW if len(reached) else None


def run(events: Sequence[AnyEvent], *, returns_first: bool) -> dict[str, Any]:
    followers = [
        recommender("watched", DriftSettings()),
        recommender("unwatched", DriftSettings(enabled=False)),
    ]
    learning = followers[0].path.learning
    assert learning is not None
    log = list(changed(events, returns_first=returns_first))
    half_ms = events[len(events) // 2].time_ms
    prequential = Prequential(followers)
    noticed: list[str] = []
    teach = learning.learn

    def told(joined: Any, now_ms: int) -> Any:
        learned = teach(joined, now_ms)
        noticed.extend(f"{each.detail}" for each in learned.happenings if now_ms >= half_ms)
        return learned

    learning.learn = told  # type: ignore[method-assign]
    for _ in prequential.run(log, 8):
        pass
    of = prequential.events
    change = int((of.column("time_ms") < half_ms).sum())
    values = [measured(found.ranks, of.column("n_items"), 20)[:, :2] for found in prequential.found]
    users = of.column("user")
    return {
        "trials": len(of),
        "change_at": change,
        "trials_until_recovery": {
            each.name: recovered(value[:, 1], change) for each, value in zip(followers, values, strict=True)
        },
        "noticed_after": noticed[:3],
        "watched_less_unwatched_mrr_20": {
            f"{a} to {b}": [
                round(100 * bound, 2)
                for bound in intervals(
                    (values[0] - values[1])[change + a : change + b, 1:], users[change + a : change + b], 7
                )[0]
            ]
            for a, b in SPANS
        },
        "mrr_20": {
            each.name: {
                f"{a} to {b}": round(100 * float(value[change + a : change + b, 1].mean()), 2)
                for a, b in SPANS
            }
            for each, value in zip(followers, values, strict=True)
        },
    }


def main() -> None:
    events = [each.event for each in read_log(LOG, "serenade")]
    write(
        "drift",
        {
            "log": "serenade, changed halfway",
            "returns begin": run(events, returns_first=False),
            "returns end": run(events, returns_first=True),
        },
    )


if __name__ == "__main__":
    main()

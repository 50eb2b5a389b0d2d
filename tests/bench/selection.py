"""Whether a source that is noise is found and dropped, and what that does: ``python tests/bench/selection.py``.

Shoppers of a simulated shop read slates in a closed loop (see ``closed_loop``), but every dismissal arrives as one of
an item drawn evenly from all: what they dismiss says nothing. Each seed is run three times on the same shop: to be
told of only, with a challenger that does without feedback and must surely be better, and with one that may be worse
by ``MAY_LOSE``. What serves is judged list by list before it learns; differences are paired by seed.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np
from bench_result import write

from models.evaluate.closed_loop import START_MS, Loop, play
from models.evaluate.of_path import LoggedRecord
from models.evaluate.strategies import OfPath
from models.ingest.record import Record
from models.learn.judge import ndcg
from models.learn.settings import ContestSettings, LearnSettings
from models.learn.without import name_of
from models.path import Path
from models.rank.score import FixedWeights
from models.simulate.reading import ReadSlate
from models.simulate.settings import SimulateSettings
from models.value.games import GAMES
from models.value.report import report
from models.value.selection import Selection
from models.value.selection_settings import SelectionSettings
from models.value.settings import ValueSettings
from models.value.valuing import Valuing
from schemas import topics
from streams.settings import Settings

K: Final = 20
LOOP = Loop(duration_s=500.0)
MAY_LOSE: Final = 0.003
"""NDCG."""
SHOP = SimulateSettings(
    n_items=600,
    n_categories=30,
    n_shoppers=1_500,
    events_per_s=20.0,
    gap_s=20.0,
    day_s=2_000.0,
    look_share=1.0,
    bot_share=0.0,
    oracle_share=0.0,
    slice_events=40,
)
NOISE: Final = "feedback"
WINDOW_S: Final = 20
VALUE = ValueSettings(
    share=0.5,
    k=K,
    selection=SelectionSettings(worth=0.002, min_lists=800, windows=20, min_windows=6, max_lists=1_000_000),
)


class Noisy(OfPath):
    """The path over a shop whose queries are exchanged, with the value of its data, and acting on it where it may."""

    def __init__(self, path: Path, seed: int, *, acts: bool) -> None:
        super().__init__(path)
        assert path.learning
        self.learning, self._acts = path.learning, acts
        self._rng, self._items = np.random.default_rng(seed), list[str]()
        first = FixedWeights(path.settings.rank).weights_of(self.learning.names)
        game, sources = GAMES["source"], tuple(self.learning.scorer.sources)
        self._valuing = Valuing(game, VALUE, sources, first, self.learning.settings.rate)
        self._selection, self._window_ms = Selection(VALUE.selection), START_MS
        self.proposed: dict[str, dict[str, Any]] = {}
        self.gains: list[float] = []
        self.promoted: list[tuple[str, int]] = []

    def follow(self, records: Sequence[Record], now_ms: int) -> list[ReadSlate]:
        """As ``OfPath``, and the lists learned from are valued."""
        learn, found = self.path.learn, []

        def watched(joined: Any) -> Any:
            learned = learn(joined)
            found.append(learned)
            return learned

        self.path.learn = watched  # type: ignore[method-assign]
        slates = super().follow([self._noisy(record) for record in records], now_ms)
        self.path.learn = learn  # type: ignore[method-assign]
        for learned in found:
            if learned:
                self._take(learned)
        if now_ms - self._window_ms >= WINDOW_S * 1_000:
            self._close(now_ms)
        return slates

    def _take(self, learned: Any) -> None:
        self._valuing.add(learned.joined.groups)
        rank = learned.judged[learned.champion].rank
        self.gains += ndcg(rank[~np.isnan(rank)], K).tolist()
        self.promoted += [
            (each.estimator, len(self.gains)) for each in learned.happenings if each.kind == "promotion"
        ]

    def _close(self, now_ms: int) -> None:
        sums = self._valuing.taken()
        if sums.n:
            self._selection.add(report(GAMES["source"], sums, K, self._window_ms, now_ms))
        self._window_ms = now_ms
        findings = self._selection.findings()
        for each in findings:
            told = {"value": round(each.value, 5), "high": round(each.high, 5), "lists": len(self.gains)}
            self.proposed.setdefault(each.player, told)
        name = name_of("source", NOISE)
        found = any(each.player == NOISE for each in findings)
        if self._acts and found and name not in self.learning.estimators:
            self.learning.try_without(name)

    def _noisy(self, record: Record) -> Record:
        if record.topic not in (topics.ITEMS, topics.FEEDBACK) or record.value is None:
            return record
        event = msgspec.json.decode(record.value)
        if record.topic == topics.ITEMS:
            self._items.append(event["item_id"])
        if event.get("kind") != "dismiss":
            return record
        event["item_id"] = self._items[self._rng.integers(len(self._items))]
        made = LoggedRecord(
            record.topic, record.partition, record.offset, record.timestamp, record.key or b"", b""
        )
        return made._replace(value=msgspec.json.encode(event), headers=tuple(record.headers))


def played(seed: int, *, acts: bool, may_lose: float = 0.0) -> dict[str, Any]:
    made: list[Noisy] = []
    contest = ContestSettings(margin_without=-may_lose)
    settings = Settings(learn=LearnSettings(contest=contest)).path()

    def contestant(_shop: object, at: int) -> Noisy:
        made.append(Noisy(Path(settings), at, acts=acts))
        return made[0]

    play(SHOP.model_copy(update={"seed": seed}), contestant, LOOP)
    of, half = made[0], len(made[0].gains) // 2
    values = {each.player: round(each.value, 5) for each in _last(of)}
    return {
        "lists": len(of.gains),
        "ndcg_second_half": round(float(np.mean(of.gains[half:])), 5),
        "ndcg": round(float(np.mean(of.gains)), 5),
        "proposed": of.proposed,
        "values": values,
        "champion": of.learning.champion,
        "promoted": of.promoted,
        "contests": {
            name: {"n": sums.n, "ndcg": round(sums.total / sums.n, 5)}
            for name, sums in of.learning.contests.items()
            if sums.n
        },
    }


def _last(of: Noisy) -> list[Any]:
    reports = of._selection._reports.get("source")
    return [each for each in reports[-1].values if each.metric == "ndcg"] if reports else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1)
    n_seeds = parser.parse_args().seeds
    runs = {
        seed: {
            "told": played(seed, acts=False),
            "acted": played(seed, acts=True),
            "acted, may lose": played(seed, acts=True, may_lose=MAY_LOSE),
        }
        for seed in range(7, 7 + n_seeds)
    }
    gained = {
        arm: [
            round(run[arm]["ndcg_second_half"] - run["told"]["ndcg_second_half"], 5) for run in runs.values()
        ]
        for arm in ("acted", "acted, may lose")
    }
    write(
        "selection",
        {
            "noise": "items of dismissals are drawn evenly",
            "seeds": list(runs),
            "noise_was_proposed": sum(NOISE in run["acted"]["proposed"] for run in runs.values()),
            "ndcg_less_told_second_half": gained,
            "may_lose": MAY_LOSE,
            "runs": runs,
        },
    )


if __name__ == "__main__":
    main()

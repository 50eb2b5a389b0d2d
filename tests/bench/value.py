"""Whether the quick value of data is right: ``python tests/bench/value.py [log …]``; ``checks`` for those alone.

The checks take the lists of a real log and add sources: a twin of the neighbours; noise, which describes candidates at
random; chance, which recommends at random among those that others found. Values must add up to what all together gain;
twins must be alike; noise must be last, and about nothing; chance is worth what finding them at all is. Then agreement
with learning everything anew.

Of each log its second half counts. Beside Shapley's shares and what is lost by leaving a source out of the ranking, all
sources are learned anew without each one in turn (paired, bootstrap over users). Kendall's tau is of the order of the
sources of a log by the quick loss and by the true one; its interval is that of 2,000 draws of all losses from their own
intervals. Pairs are few, and told one by one. What valuing costs is measured beside.
"""

import json
import os
import subprocess
import sys
import time
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from bench_result import write

from models.evaluate.of_path import OfPath
from models.evaluate.prequential import Prequential
from models.kinds import Kind
from models.learn.groups import SCALE, Groups
from models.path import Path as PurePath
from models.rank.features import OF_SOURCE, feature_names
from models.value.games import GAMES, Game
from models.value.settings import ValueSettings
from models.value.valuing import Valuing
from streams.evaluation import REPEATS, Log, events_of, settings_of

DATA = Path(os.environ.get("BENCH_DATA", Path(__file__).parents[3] / "shared" / "data"))
LOGS = {
    "rees46-sample": "rees46-sample/events.csv.gz",
    "taobao-slice": "taobao-slice/events.csv.gz",
    "online-retail": "online-retail/transactions-2010-12_2011-08.csv.gz",
}
RECOMMENDERS = (
    "session_knn",
    "covisitation",
    "content",
    "search",
    "trending",
    "cold_start",
    "recent",
    "embedding",
)
CHECKED = ("rees46-sample",)
N_LISTS, N_CANDIDATES = 4_000, 64
N_DRAWS, Z = 2_000, 1.96


def valued(name: str) -> dict[str, Any]:
    options = [option for setting in REPEATS.items() for option in ("--set", "=".join(setting))]
    command = ["value", DATA / LOGS[name], "--mapping", name, "--from", "0.5", "--anew", "--json", *options]
    code = "from streams.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, command), "--set", "value.share=1"],
        check=True,
        stdout=subprocess.PIPE,
    )
    found = json.loads(done.stdout)
    report = found["report"]
    anew = {
        each["source"]: each["lost"]["interval"]
        for each in found["anew"]
        if each["lost"]["measure"] == "ndcg@20"
    }
    return {
        "lists": report["n"],
        "ndcg_all_in": report["all_in"]["ndcg"],
        "ndcg_by_source": {
            each["player"]: {
                "value": [each["value"], round(1.96 * each["value_error"], 6)],
                "left_out": [each["left_out"], round(1.96 * each["left_out_error"], 6)],
                "left_out_of_learning": [round(bound, 6) for bound in anew[each["player"]]],
            }
            for each in report["values"]
            if each["metric"] == "ndcg" and each["player"] in anew
        },
    }


def agreement(figures: dict[str, Any]) -> dict[str, Any]:
    """Pairs of sources of one log in the same order by the quick loss and by the true one."""
    rng, pairs, draws = np.random.default_rng(1), {}, []
    for name, found in figures.items():
        of = {source: _drawn(each, rng) for source, each in found["ndcg_by_source"].items()}
        for a, b in combinations(of, 2):
            signs = np.sign(of[a][0] - of[b][0]) * np.sign(of[a][1] - of[b][1])
            pairs[f"{name}: {a}, {b}"] = int(signs[0])
            draws.append(signs[1:])
    taus = np.mean(draws, axis=0)
    interval = [round(float(each), 3) for each in np.percentile(taus, [2.5, 97.5])]
    return {"tau": round(float(np.mean(list(pairs.values()))), 3), "interval": interval, "pairs": pairs}


def _drawn(source: dict[str, list[float]], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The quick loss and the true one, as told, then as drawn."""
    (quick, half), (true, low, high) = source["left_out"], source["left_out_of_learning"]
    noise = rng.normal(size=(2, N_DRAWS))
    return np.r_[quick, quick + half / Z * noise[0]], np.r_[true, true + (high - low) / (2 * Z) * noise[1]]


def checks(name: str) -> dict[str, Any]:
    """What must hold, on the lists of a log."""
    groups, recommenders = lists_of(name)
    without = shares(groups, recommenders, ("neighbours", "noise", "rest"), ("noise",))
    chance = shares(groups, recommenders, ("neighbours", "chance", "rest"), ("chance",))
    twins = shares(groups, recommenders, ("neighbours", "twin", "noise", "rest"), ("noise", "twin"))
    return {"lists": len(groups.n), "without_twin": without, "with_twin": twins, "with_chance": chance}


def lists_of(name: str) -> tuple[Groups, tuple[str, ...]]:
    """All lists of a log with something wanted, as its scorers learned them."""
    settings, _ = settings_of(None, [f"{name}={value}" for name, value in REPEATS.items()])
    path, found = PurePath(settings.path()), []
    follower = Prequential([OfPath(path, watch=lambda learned: found.append(learned.joined.groups))])
    log = Log(str(DATA / LOGS[name]), name)
    for _ in follower.run(events_of(log, lambda *_: None), 8):
        pass
    groups = Groups._make(np.concatenate(columns) for columns in zip(*found, strict=True))
    assert path.learning is not None
    told = (groups.target >= 0) & (groups.weight > 0.0) & (groups.n > 1)
    return groups.of(told), tuple(path.learning.scorer.sources)


def shares(
    groups: Groups, recommenders: tuple[str, ...], players: tuple[str, ...], more: tuple[str, ...]
) -> dict[str, Any]:
    """NDCG of each player, with recommendation sources ``more`` among the columns."""
    all_of = (*recommenders, *more)
    names = feature_names(all_of)
    columns = {
        "noise": noise(groups, 0.0),
        "chance": noise(groups, 1.0),
        "twin": _of(groups, recommenders, "session_knn"),
    }
    width = len(OF_SOURCE) * len(recommenders)
    parts = [groups.x[:, :, :width], *(columns[each] for each in more), groups.x[:, :, width:]]
    free = {"agreement", "always"}
    stems = {feature.partition(".")[0] for feature in names} - free
    own = {"session_knn": ("neighbours",), **{each: (each,) for each in more}}
    game = Game("check", dict.fromkeys(players, ""), {stem: own.get(stem, ("rest",)) for stem in stems})
    valuing = Valuing(game, ValueSettings(share=1.0), all_of, np.zeros(len(names), np.float32), 0.5)
    wider = groups._replace(x=np.ascontiguousarray(np.concatenate(parts, axis=2)))
    for start in range(0, len(groups.n), 8):
        valuing.add(wider.of(slice(start, start + 8)))
    sums = valuing.taken()
    mean = sums.total[0, 0] / sums.n
    error = np.sqrt(np.maximum(sums.squares[0, 0] / sums.n - mean**2, 0.0) / sums.n)
    gained = float((sums.all_in - sums.none_in)[0] / sums.n)
    return {
        "gained": round(gained, 6),
        "sum_less_gained": float(mean.sum() - gained),
        "values": {
            p: [round(float(m), 6), round(Z * float(e), 6)]
            for p, m, e in zip(players, mean, error, strict=True)
        },
    }


def noise(groups: Groups, named: float) -> np.ndarray:
    """Of four in ten candidates, at random; ``named`` is 1 where the source recommends them."""
    rng, shape = np.random.default_rng(2), groups.x.shape[:2]
    x = rng.random((*shape, len(OF_SOURCE)))
    some = rng.random(shape) < 0.4
    x[:, :, 0] = named
    return np.where(some[:, :, None], np.round(x / SCALE), 0).astype(np.int16)


def _of(groups: Groups, recommenders: tuple[str, ...], name: str) -> np.ndarray:
    at = len(OF_SOURCE) * recommenders.index(name)
    return groups.x[:, :, at : at + len(OF_SOURCE)]


def cost() -> dict[str, float]:
    """Microseconds a list that is valued, of both games together; one list in eight is."""
    rng, names = np.random.default_rng(1), feature_names(RECOMMENDERS)
    x = rng.uniform(-1.0, 1.0, (N_LISTS, N_CANDIDATES, len(names)))
    for recommender in RECOMMENDERS:
        x[:, :, names.index(f"{recommender}.named")] = rng.random((N_LISTS, N_CANDIDATES)) < 0.4
    groups = Groups(
        np.round(x / SCALE).astype(np.int16),
        np.full(N_LISTS, N_CANDIDATES, np.int32),
        rng.integers(0, N_CANDIDATES, N_LISTS).astype(np.int32),
        np.ones(N_LISTS, np.float32),
        np.zeros(N_LISTS, np.uint8),
        np.ones(N_LISTS, np.uint8),
        np.zeros(N_LISTS, np.uint8),
        np.ones((N_LISTS, N_CANDIDATES), np.float32),
        np.full(N_LISTS, Kind.CLICK, np.uint8),
    )
    out = {}
    for name, game in GAMES.items():
        valuing = Valuing(game, ValueSettings(share=1.0), RECOMMENDERS, np.zeros(len(names), np.float32), 0.5)
        valuing.add(groups.of(slice(0, 10)))
        started = time.perf_counter()
        valuing.add(groups)
        out[name] = round(1e6 * (time.perf_counter() - started) / N_LISTS, 1)
    return out


def main(names: list[str]) -> None:
    found = {"checks": {name: checks(name) for name in CHECKED}}
    print(found, flush=True)
    if names == ["checks"]:
        write("value_checks", found)
        return
    figures = {}
    for name in names or LOGS:
        figures[name] = valued(name)
        print(name, figures[name], flush=True)
    write("value", {"logs": figures, "agreement": agreement(figures), **found, "us_a_valued_list": cost()})


if __name__ == "__main__":
    main(sys.argv[1:])

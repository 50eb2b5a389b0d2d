"""Whether the quick value of data agrees with learning everything anew: ``python tests/bench/value.py [log …]``.

Of each log its second half counts. Beside Shapley's shares and what is lost by leaving a source out of the ranking, all
sources are learned anew without each one in turn (paired, bootstrap over users). Kendall's tau is of the order of the
sources of a log by the quick loss and by the true one. Pairs are few, so that they are told one by one, in place of an
interval. What valuing costs is measured beside.
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

from models.learn.groups import SCALE, Groups
from models.rank.features import feature_names
from models.value.games import GAMES
from models.value.settings import ValueSettings
from models.value.valuing import Valuing
from streams.evaluation import REPEATS

DATA = Path(os.environ.get("RILLET_DATA", Path(__file__).parents[3] / "shared" / "data"))
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
N_LISTS, N_CANDIDATES = 4_000, 64


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
    pairs = []
    for name, found in figures.items():
        for a, b in combinations(found["ndcg_by_source"], 2):
            one, other = found["ndcg_by_source"][a], found["ndcg_by_source"][b]
            quick = one["left_out"][0] - other["left_out"][0]
            true = one["left_out_of_learning"][0] - other["left_out_of_learning"][0]
            pairs.append((f"{name}: {a}, {b}", int(np.sign(quick) * np.sign(true))))
    return {"tau": round(float(np.mean([sign for _, sign in pairs])), 3), "pairs": dict(pairs)}


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
    figures = {}
    for name in names or LOGS:
        figures[name] = valued(name)
        print(name, figures[name], flush=True)
    write("value", {"logs": figures, "agreement": agreement(figures), "us_a_valued_list": cost()})


if __name__ == "__main__":
    main(sys.argv[1:])

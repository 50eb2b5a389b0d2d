"""Clicks and purchases of ways of ranking in a closed loop: ``python tests/bench/closed_loop.py [part …]``.

Simulated shoppers read the slates that their own events brought about; see ``models.evaluate.closed_loop``. Parts:
``steady`` (the shop as it is, the first quarter not counted) and ``shift`` (halfway shoppers swap tastes and begin to
look for something else than what their session is about; counted before, just after and later). Each strategy has a
shop of its own a seed; intervals are Student's t over the seeds, differences are to the first strategy, paired.

``steady:popularity,random`` runs only those beside the first and prints without writing, as does ``--seeds N``;
``--processes N`` runs N at once.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from typing import Any, NamedTuple

import msgspec
import numpy as np
from bench_result import RESULTS, write

from models.evaluate.closed_loop import Loop, Outcome, play
from models.evaluate.standing import Standing, compare, course
from models.evaluate.strategies import Asked, Contestant, OfPath, Popular, Random
from models.learn.settings import DriftSettings, LearnSettings
from models.path import Path
from models.path_settings import PathSettings
from models.rank.explore_settings import ExploreSettings, Policy
from models.simulate.settings import SimulateSettings
from models.simulate.shift import Shift
from streams.settings import Settings

SEEDS = 10
LOOP = Loop(duration_s=1_200.0, new_s=600.0)
SHOP = SimulateSettings(
    n_items=1_000,
    n_categories=30,
    n_shoppers=2_000,
    events_per_s=20.0,
    gap_s=20.0,
    day_s=2_000.0,
    launches_per_day=80.0,
    look_share=1.0,
    bot_share=0.0,
    oracle_share=0.0,
    slice_events=40,
)
"""Over half of a shop day in a loop; a shopper acts every 20 s, and slates are read 2 s after what caused them."""
SHIFTED = replace(LOOP, shift=Shift(swapped_share=1.0, same_category=-2.0), shift_at_s=LOOP.duration_s / 2.0)


def strategies() -> dict[str, Contestant]:
    """By name; the first is what the others are compared to. Further ones are added here."""
    settings, k = Settings().path(), LOOP.k
    fixed = settings._replace(learn=LearnSettings(enabled=False))
    return {
        "fixed weights": lambda shop, seed: OfPath(Path(fixed)),
        "popularity": lambda shop, seed: Popular(k),
        "popularity, unseen": lambda shop, seed: Popular(k, unseen=True),
        "random": lambda shop, seed: Random(k, np.random.default_rng(seed)),
        "oracle of looks": lambda shop, seed: Asked(k, shop.likeliest),
        "oracle of clicks": lambda shop, seed: Asked(k, shop.most_appealing),
        "learned": lambda shop, seed: OfPath(Path(settings)),
        "learned, epsilon": lambda shop, seed: OfPath(Path(exploring(settings, "epsilon"))),
        "learned, thompson": lambda shop, seed: OfPath(Path(exploring(settings, "thompson"))),
        "learned, drift not watched": lambda shop, seed: OfPath(Path(unwatched(settings))),
    }


def exploring(settings: PathSettings, policy: Policy) -> PathSettings:
    """With the last places of each slate left to a policy."""
    rank = settings.rank.model_copy(update={"explore": ExploreSettings(policy=policy)})
    return settings._replace(rank=rank)


def unwatched(settings: PathSettings) -> PathSettings:
    """Without drift detection, and so without reaction."""
    return settings._replace(learn=settings.learn.model_copy(update={"drift": DriftSettings(enabled=False)}))


class Part(NamedTuple):
    """What is run, and the stretches of time that are counted, as shares of the whole."""

    loop: Loop
    counted: Mapping[str, tuple[float, float]]
    left_out: frozenset[str] = frozenset()
    """Strategies that only run when they are named."""


PARTS = {
    "steady": Part(
        LOOP,
        {"after warm-up": (0.25, 1.0)},
        frozenset(
            {
                "popularity, unseen",
                "random",
                "oracle of looks",
                "learned, thompson",
                "learned, drift not watched",
            }
        ),
    ),
    "shift": Part(
        SHIFTED,
        {"before": (0.25, 0.5), "just after": (0.5, 0.65), "later": (0.65, 1.0)},
        frozenset(
            {
                "popularity",
                "popularity, unseen",
                "random",
                "oracle of looks",
                "oracle of clicks",
                "learned, thompson",
            }
        ),
    ),
}

SHOWN = (
    "click_rate",
    "expected_click_rate",
    "regret",
    "purchase_rate",
    "dismissal_rate",
    "share_of_new_items",
)
"""Columns of the table."""


def names(part: Part, only: Sequence[str]) -> list[str]:
    """The first strategy always, so that there is one to compare to."""
    first, *others = strategies()
    return [first, *(name for name in others if (name in only if only else name not in part.left_out))]


def run(part: str, name: str, seed: int) -> tuple[Outcome, float]:
    """One strategy with one seed, and how long it kept a core busy."""
    began_s = time.process_time()
    outcome = play(SHOP.model_copy(update={"seed": seed}), strategies()[name], PARTS[part].loop)
    return outcome, time.process_time() - began_s


def played(part: str, chosen: Sequence[str], seeds: range, n_processes: int) -> dict[str, list[Outcome]]:
    """Outcomes by strategy, a seed each."""
    outcomes: dict[str, list[Outcome]] = {}
    with ProcessPoolExecutor(n_processes, get_context("spawn")) as pool:
        runs = {name: [pool.submit(run, part, name, seed) for seed in seeds] for name in chosen}
        for name, futures in runs.items():
            found = [future.result() for future in futures]
            outcomes[name] = [outcome for outcome, _ in found]
            print(
                f"{part}, {name}: {np.median([took for _, took in found]):.1f} s of a core a run", flush=True
            )
    return outcomes


def table(standings: Sequence[Standing]) -> str:
    """In percent, with half the width of the 95% interval; the difference to the first of what is expected."""
    head = ["", *SHOWN, "difference"]
    rows = [
        [each.name, *(_percent(each.measures[m]) for m in SHOWN), _percent(each.differences[SHOWN[1]])]
        for each in standings
    ]
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    return "\n".join("  ".join(c.rjust(w) for c, w in zip(row, widths, strict=True)) for row in [head, *rows])


def _percent(interval: Any) -> str:
    return (
        "-" if interval is None else f"{100 * interval.mean:.3f} ±{50 * (interval.high - interval.low):.3f}"
    )


def _figures(part: Part, outcomes: dict[str, list[Outcome]]) -> dict[str, Any]:
    compared = {name: compare(outcomes, *span) for name, span in part.counted.items()}
    for name, standings in compared.items():
        print(f"\n{name}, %\n{table(standings)}", flush=True)
    return {
        "loop": _built(part.loop),
        "counted": part.counted,
        **{name: {each.name: _built(each) for each in standings} for name, standings in compared.items()},
        "course": {name: _built(course(found)) for name, found in outcomes.items()},
    }


def _built(value: Any) -> Any:
    """As JSON would have it, five digits a number; a shift by what it names."""
    plain = msgspec.to_builtins(value, enc_hook=lambda shift: shift.model_dump(exclude_unset=True))
    return json.loads(json.dumps(plain), parse_float=lambda digits: float(f"{float(digits):.5g}"))


def _kept(about: Mapping[str, Any]) -> dict[str, Any]:
    """Parts measured before under the same conditions, which are not run again."""
    file = RESULTS / "closed_loop.json"
    before = json.loads(file.read_text())["figures"] if file.exists() else {}
    same = all(before.get(name) == value for name, value in about.items())
    return {name: before[name] for name in PARTS if same and name in before}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", default=list(PARTS))
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--processes", type=int, default=1)
    arguments = parser.parse_args()
    about = {
        "simulation": True,
        "n_seeds": SEEDS,
        "seconds": LOOP.duration_s,
        "shop": SHOP.model_dump(exclude={"faults", "seed"}),
    }
    figures = _kept(about)
    is_whole = arguments.seeds == SEEDS
    for each in arguments.parts:
        name, _, only = each.partition(":")
        is_whole &= not only
        chosen = names(PARTS[name], only.split(",") if only else ())
        seeds = range(1, arguments.seeds + 1)
        figures[name] = _figures(PARTS[name], played(name, chosen, seeds, arguments.processes))
    if is_whole:
        write("closed_loop", about | figures)


if __name__ == "__main__":
    main()

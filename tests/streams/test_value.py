"""``rillet value`` over a log, as it is called."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import rillet

OPTIONS = ("--mapping", "rees46-sample", "--set", "value.share=1", "--set", "rank.filter_viewed=false")


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 shoppers who walk along a ring of 60 items, ten to a category, and buy one in ten."""
    rng = np.random.default_rng(7)
    rows = []
    for shopper in range(300):
        item, second = int(rng.integers(60)), shopper * 40
        for _ in range(8):
            moment = datetime.fromtimestamp(1_600_000_000 + second, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
            kind = "purchase" if rng.random() < 0.1 else "view"
            about = f"{item},{item // 10},c{item // 10},b{item % 3},{5 + item}.0"
            rows.append((second, f"{moment},{kind},{about},{shopper},s{shopper}"))
            item, second = (item + int(rng.choice([1, 1, 2]))) % 60, second + int(rng.integers(1, 30))
    path = tmp_path_factory.mktemp("log") / "events.csv"
    head = "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session"
    path.write_text("\n".join([head, *(row for _, row in sorted(rows))]) + "\n")
    return path


@pytest.fixture(scope="module")
def seen_log(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Shoppers of 40 items who look at one, then down a list of the five that follow it, the nearest wanted most."""
    rng, folder = np.random.default_rng(3), tmp_path_factory.mktemp("seen")
    rows: list[tuple[int, str]] = []

    def add(second: int, kind: str, shopper: int, items: list[int]) -> None:
        told = {
            "k": kind,
            "u": f"s{shopper}",
            "t": 1_600_000_000 + second,
            "items": [{"id": f"i{i}"} for i in items],
        }
        rows.append((second, json.dumps(told)))

    for shopper in range(120):
        item, second = int(rng.integers(40)), shopper * 60
        for _ in range(6):
            add(second, "view", shopper, [item])
            listed = [int(item + step) % 40 for step in rng.permutation(5) + 1]
            add(second + 2, "impression", shopper, listed)
            for place, each in enumerate(listed):
                if rng.random() < 0.9 / (1 + place) / ((each - item) % 40):
                    add(second + 4 + place, "click", shopper, [each])
                    if rng.random() < 0.4:
                        add(second + 10 + place, "purchase", shopper, [each])
            item, second = (item + 9) % 40, second + int(rng.integers(20, 60))
    path, mapping = folder / "events.jsonl", folder / "seen.toml"
    path.write_text("\n".join(row for _, row in sorted(rows)) + "\n")
    kinds = ", ".join(f'{kind} = "{kind}"' for kind in ("view", "click", "impression", "purchase"))
    mapping.write_text(
        f'[columns]\nuser = "u"\nitem = "items[].id"\n[time]\ncolumn = "t"\nformat = "s"\n'
        f'[kind]\ncolumn = "k"\nvalues = {{ {kinds} }}\n'
    )
    return path, mapping


def test_click_through_and_conversion_of_a_log_with_impressions(seen_log: tuple[Path, Path]) -> None:
    path, mapping = seen_log
    done = rillet("value", path, "--mapping", mapping, *OPTIONS[2:], "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)["report"]
    seen = report["seen"]
    assert 600 < seen["n_seen"] <= 720
    assert 0 < seen["n_purchases"] < seen["n_clicks"]
    assert seen["valued_share"] == 1.0
    assert 0.3 * seen["n_clicks"] < seen["effective_clicks"] <= seen["n_clicks"]
    for metric in ("click_through", "conversion", "recall", "precision", "f1"):
        values = {each["player"]: each["value"] for each in report["values"] if each["metric"] == metric}
        gained = report["all_in"][metric] - report["none_in"][metric]
        assert sum(values.values()) == pytest.approx(gained, abs=1e-5)
        assert max(values, key=lambda player: values[player]) == "browse"
    # Of lists in any order 0.9 * 2.28^2 / 5 = 0.94 are clicked; with what is wanted most first, 0.9 * 1.46 = 1.32.
    assert seen["n_clicks"] / seen["n_seen"] == pytest.approx(0.94, abs=0.06)
    assert 1.05 * seen["n_clicks"] / seen["n_seen"] < report["all_in"]["click_through"] < 1.40


def test_where_nothing_was_seen_there_is_no_conversion_and_it_is_said_why(log: Path, tmp_path: Path) -> None:
    short = tmp_path / "short.csv"
    short.write_text("".join(log.read_text().splitlines(keepends=True)[:600]))
    done = rillet("value", short, *OPTIONS, "--metric", "conversion")
    assert done.returncode == 2
    assert "no impression says" in done.stderr


def test_sources_of_a_log_are_valued_and_learned_without(log: Path) -> None:
    done = rillet("value", log, *OPTIONS, "--from", "0.3", "--anew", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    report = result["report"]
    of = {each["player"]: each for each in report["values"] if each["metric"] == "ndcg"}
    assert of["browse"]["value"] > 0.1
    assert of["browse"]["value"] > 3 * of["attributes"]["value"]
    assert [of[name]["value"] for name in ("search", "feedback", "promotions")] == [0.0] * 3
    assert sum(each["value"] for each in of.values()) == pytest.approx(
        report["all_in"]["ndcg"] - report["none_in"]["ndcg"], abs=1e-4
    )
    assert report["n"] > 800
    costs = {each["player"]: each for each in report["costs"]}
    assert costs["browse"]["n_events"] + costs["purchase"]["n_events"] == pytest.approx(0.7 * 2400, abs=20)
    assert costs["attributes"]["n_bytes"] > 0.1 * costs["browse"]["n_bytes"]
    assert costs["browse"]["cpu_s"] > costs["purchase"]["cpu_s"] > 0.0
    lost = {each["source"]: each["lost"]["interval"] for each in result["anew"] if _of_ndcg(each)}
    assert set(lost) == {"browse", "purchase", "attributes"}
    assert lost["browse"][1] > 0.1
    assert abs(lost["attributes"][0]) < lost["browse"][0]


def _of_ndcg(each: dict[str, Any]) -> bool:
    return bool(each["lost"]["measure"] == "ndcg@20")


def test_the_later_or_thinner_a_source_the_more_is_lost(log: Path) -> None:
    weaker = ("--late", "browse=10s,1h", "--volume", "browse=0.5,0.1")
    done = rillet("value", log, *OPTIONS, "--from", "0.3", *weaker, "--json")
    assert done.returncode == 0, done.stderr
    found = [each for each in json.loads(done.stdout)["anew"] if _of_ndcg(each)]
    lost = {(each["change"], each["at"]): each["lost"]["interval"] for each in found}
    assert list(lost) == [("late", 10.0), ("late", 3600.0), ("thinned", 0.5), ("thinned", 0.1)]
    assert lost["late", 3600.0][1] > lost["late", 10.0][2]
    assert 0.0 < lost["thinned", 0.5][1] < lost["thinned", 0.1][1]


@pytest.mark.parametrize(("of", "n"), [("users", 240), ("items", 60), ("days", 1)])
def test_points_of_a_log_are_valued(log: Path, of: str, n: int) -> None:
    done = rillet("value", log, "--mapping", "rees46-sample", "--points", of, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    values = [each["value"] for each in found["points"]]
    assert len(values) == n
    assert values == sorted(values, reverse=True)
    assert sum(values) == pytest.approx(found["total"])
    assert {each["which"] for each in found["removals"]} == {"lowest", "random", "highest"}


def test_points_are_of_the_log_as_cleaned(log: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "version: '1'\nsteps: [{do: alias, values: {'59': '0'}}, {do: cap, events: 3, within_s: 3600}]\n"
    )
    options = ("--mapping", "rees46-sample", "--points", "items", "--json")
    done = rillet("value", log, *options, "--set", f"clean.recipe={recipe}")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    names = {each["name"] for each in found["points"]}
    assert "0" in names
    assert "59" not in names, "it is a variant of 0"
    # Of eight events of a shopper three come before the cap, and so at most three items.
    assert sum(each["n_sessions"] for each in found["points"]) <= 3 * found["n_sessions"]


def test_signals_are_shown_with_bars(log: Path) -> None:
    done = rillet("value", log, *OPTIONS, "--by", "signal", "--metric", "hit_rate")
    assert done.returncode == 0, done.stderr
    assert "Value of each signal: hit_rate@20" in done.stdout
    assert "neighbours" in done.stdout
    assert "█" in done.stdout
    assert "Click-through and conversion are not estimated" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--anew",), "rillet value events.csv.gz --anew"),
        (("x.csv", "--by", "colour"), "source or signal"),
        (("x.csv", "--metric", "auc"), "recall, f1, click_through, conversion"),
        (("x.csv", "--anew", "--by", "signal"), "Leave out --by"),
        (("x.csv", "--points", "shops"), "users, items, days, hours"),
        (("--points", "users"), "rillet value events.csv.gz --points users"),
        (("--late", "1h"), "rillet value events.csv.gz --anew"),
        (("x.csv", "--late", "smell=1h"), "Take one of browse"),
        (("x.csv", "--late", "browse=soon"), "Give 90s"),
        (("x.csv", "--volume", "2"), "Give 0.5"),
        (("x.csv",), "x.csv"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_way_out(arguments: tuple[str, ...], said: str) -> None:
    done = rillet("value", *arguments)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_log_that_tells_nothing_is_refused(log: Path) -> None:
    done = rillet("value", log, *OPTIONS, "--set", "learn.enabled=false")
    assert done.returncode == 2
    assert "learn.enabled" in done.stderr

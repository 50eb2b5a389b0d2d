"""``rillet evaluate`` and ``rillet tune`` as they are called."""

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest
from command import rillet


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2,000 clicks of 250 sessions along a ring of 60 items."""
    rng = np.random.default_rng(7)
    rows = []
    for session in range(250):
        item, second = int(rng.integers(60)), session * 40
        for _ in range(8):
            rows.append((second, f"{session}\t{item}\t{1_600_000_000 + second}"))
            item, second = (item + int(rng.choice([1, 1, 2]))) % 60, second + int(rng.integers(1, 30))
    path = tmp_path_factory.mktemp("log") / "clicks.tsv"
    path.write_text("SessionId\tItemId\tTime\n" + "\n".join(row for _, row in sorted(rows)) + "\n")
    return path


def test_a_log_is_evaluated_beside_the_baselines(log: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    done = rillet(
        "evaluate", log, "--mapping", "serenade", "--repeats", "--from", "0.5", "--json", "--html", page
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["n_events"], result["ks"], result["from_share"]) == (2_000, [5, 10, 20], 0.5)
    names = [scores["name"] for scores in result["scores"]]
    assert names == ["rillet", "popularity", "session reminder", "markov", "sequential rules", "vs-knn"]
    hits = {scores["name"]: scores["overall"]["hr@5"][0] for scores in result["scores"]}
    assert hits["rillet"] > hits["popularity"] + 0.2
    assert "<html" in page.read_text()


def test_settings_files_are_compared_side_by_side(log: Path, tmp_path: Path) -> None:
    other = tmp_path / "deaf.toml"
    other.write_text("retrieve.session_knn.enabled = false\nretrieve.covisitation.enabled = false\n")
    done = rillet("evaluate", log, "--mapping", "serenade", "--no-baselines", "--compare", other, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert [scores["name"] for scores in result["scores"]] == ["rillet", "deaf"]
    differences = {each["measure"]: each["interval"] for each in result["differences"]}
    assert differences["hr@20"][1] > 0.0
    assert any("--repeats" in note for note in result["notes"]) == any(
        each["dimension"] == "repeat" and each["value"] == "seen in this session"
        for each in result["scores"][0]["slices"]
    )


def test_sessions_are_predicted_after_training(log: Path) -> None:
    done = rillet(
        "evaluate", "--protocol", "sessions", "--train", log, "--test", log, "--mapping", "serenade", "--json"
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["n_events"], result["n_trials"]) == (4_000, 1_750)
    assert result["settings"]["rank.filter_viewed"] is False


def test_the_table_is_for_eyes(log: Path) -> None:
    done = rillet("evaluate", log, "--mapping", "serenade", "--repeats")
    assert done.returncode == 0, done.stderr
    assert "session reminder" in done.stdout
    assert "HR" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Name a file"),
        (("--protocol", "sessions"), "--train FILE --test FILE"),
        (("x.csv", "--ks", "0,5"), "1 to 200"),
        (("x.csv", "--set", "rank.mmr_lambda"), "has no value"),
        (("x.csv", "--set", "rank.lambda=1"), "no such setting"),
    ],
)
def test_what_cannot_be_done_is_said_with_the_way_out(arguments: tuple[str, ...], said: str) -> None:
    done = rillet("evaluate", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_tuning_writes_settings_that_are_better_on_what_it_has_not_seen(log: Path, tmp_path: Path) -> None:
    bad, tuned = tmp_path / "bad.toml", tmp_path / "tuned.toml"
    bad.write_text(
        "rank.source_weights = { session_knn = 0.01, covisitation = 0.01, trending = 5.0, cold_start = 5.0 }\n"
    )
    done = rillet(
        "tune", log, "--mapping", "serenade", "--config", bad, "--weighings", 60, "--write", tuned, "--json"
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["logs"][0]["after"] > found["logs"][0]["before"]
    assert (
        tomllib.loads(tuned.read_text())["rank"]["source_weights"] == found["settings"]["rank.source_weights"]
    )
    done = rillet(
        "evaluate", log, "--mapping", "serenade", "--config", tuned, "--compare", bad, "--from", "0.5",
        "--no-baselines", "--json", "--set", "learn.enabled=false",
    )  # fmt: skip
    differences = {each["measure"]: each["interval"] for each in json.loads(done.stdout)["differences"]}
    assert differences["ndcg@20"][1] > 0.0


def test_tuning_sources_follows_the_log_again(log: Path) -> None:
    done = rillet("tune", log, "--mapping", "serenade", "--trials", 2, "--weighings", 5, "--json")
    assert done.returncode == 0, done.stderr
    assert "rank.source_weights" in json.loads(done.stdout)["settings"]

"""``rillet ope`` as it is called, over slates of our own and over real logs of random choices."""

import gzip
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from models.kinds import Kind
from models.ope.attribution import REWARDED
from models.ope.estimators import ESTIMATORS
from models.ope.policies import Uniform
from models.ope.result import judge
from models.ope.weigh import weighed
from streams.cli import run
from streams.commands.ope import app
from streams.errors import USAGE, InputError
from streams.ope import evaluation
from streams.ope.open_bandit import read_open_bandit
from streams.ope.slates import Crediting, ReadSlates, SlateFiles, read_slates

Lines = list[dict[str, Any]]
START_MS = 1_700_000_000_000
ITEMS = "abcd"
CHANCE = {"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.4}
RATE = {"a": 0.5, "b": 0.2, "c": 0.1, "d": 0.1}
"""Clicks an impression; a purchase follows every second click on b."""


def unwatched(_: str, __: int, ___: int) -> None: ...


def ope(*arguments: object) -> Any:
    """What the command prints as JSON."""
    done = CliRunner().invoke(app, [*map(str, arguments), "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def written(path: Path, lines: Lines) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture
def jsonl(tmp_path: Path) -> Callable[[str, Lines], Path]:
    return lambda name, lines: written(tmp_path / f"{name}.jsonl", lines)


def slate(n: int, *items: tuple[Any, ...], user: str = "u", **more: object) -> dict[str, Any]:
    """``slate(3, ("a", 0.5), ("b",))`` holds two items, one of them with a propensity."""
    return {
        "slate_id": f"events.browse-0-{n}",
        "user_id": user,
        "items": [
            {"item_id": item, "score": 1.0, "reasons": []} | ({"propensity": chance[0]} if chance else {})
            for item, *chance in items
        ],
        "event_id": f"e-{n}",
        "event_time_ms": START_MS + 1_000 * n,
        "processed_ms": START_MS,
        "model_version": "1",
        **more,
    }


def event(n: float, user: str = "u", **more: object) -> dict[str, Any]:
    return {"event_id": f"x-{n}", "user_id": user, "time_ms": START_MS + int(1_000 * n), **more}


def impression(n: float, of: int, *items: str, user: str = "u") -> dict[str, Any]:
    return event(n, user, kind="impression", item_ids=list(items), slate_id=f"events.browse-0-{of}")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """6,000 slates of 400 users: a certain first place, and a second that is left to chance."""
    rng = np.random.default_rng(4)
    slates, events = [], []
    for n in range(6_000):
        user = f"u{rng.integers(400)}"
        item = str(rng.choice(list(ITEMS), p=list(CHANCE.values())))
        slates.append(slate(n, ("top",), (item, CHANCE[item]), user=user))
        events.append(impression(n + 0.1, n, "top", item, user=user))
        if rng.random() < RATE[item]:
            named = {"slate_id": f"events.browse-0-{n}", "position": 1}
            events.append(event(n + 0.2, user, kind="click", item_id=item, **named))
            if item == "b" and n % 2:
                events.append(event(n + 0.3, user, lines=[{"item_id": item}]))
    folder = tmp_path_factory.mktemp("shop")
    return written(folder / "slates.jsonl", slates), written(folder / "events.jsonl", events)


class TestSlates:
    def test_estimates_hold_what_the_shop_would_have_earned(self, shop: tuple[Path, Path]) -> None:
        slates, events = shop
        found = ope(slates, "--events", events)
        assert (found["n_train"], found["n_rounds"], found["n_arms"]) == (3_000, 3_000, 4)
        assert found["n_units"] == 400
        worth = {
            "logged": sum(CHANCE[item] * RATE[item] for item in ITEMS),
            "uniform": sum(RATE.values()) / 4,
            "popularity": RATE["a"],
            "learned": RATE["a"],
        }
        for policy in found["policies"]:
            for estimate in policy["estimates"]:
                if estimate["estimator"] != "dm" and policy["policy"] in worth:
                    _, low, high = estimate["value"]
                    assert low <= worth[policy["policy"]] <= high, (policy["policy"], estimate)
        gains = {
            policy["policy"]: {each["estimator"]: each["gain"] for each in policy["estimates"]}
            for policy in found["policies"]
        }
        assert gains["popularity"]["snips"][1] > 0.2

    def test_purchases_weigh_as_they_are_told_to(self, shop: tuple[Path, Path]) -> None:
        slates, events = shop
        options = ["--policy", "logged", "--estimator", "ips"]
        clicks, both = (
            ope(slates, "--events", events, *options, *rewards)["on_policy"][0]
            for rewards in ([], ["--reward", "click=1", "--reward", "purchase=10"])
        )
        # a tenth of the impressions of b, a fifth of all, end in a purchase
        assert both - clicks == pytest.approx(10 * 0.1 * CHANCE["b"], abs=0.06)

    def test_places_that_were_certain_are_left_out_and_counted(self, shop: tuple[Path, Path]) -> None:
        slates, events = shop
        notes = ope(slates, "--events", events)["notes"]
        assert notes[0] == "6,000 of 12,000 places of the slates were not left to chance, and are left out"

    def test_few_users_are_told(self, jsonl: Callable[[str, Lines], Path]) -> None:
        slates = [slate(n, ("ab"[n % 2], 0.5), user=f"u{n % 3}") for n in range(40)]
        found = ope(jsonl("slates", slates), "--all-seen", "--policy", "uniform")
        assert "only 3 users or rounds were drawn from: the intervals are too narrow" in found["notes"]

    def test_records_as_watch_prints_them_and_packed_files_are_read_too(
        self, shop: tuple[Path, Path], tmp_path: Path
    ) -> None:
        slates, events = shop
        packed = tmp_path / "slates.jsonl.gz"
        with gzip.open(packed, "wt") as file:
            for line in slates.read_text().splitlines():
                file.write(json.dumps({"topic": "recommendations.user", "value": json.loads(line)}) + "\n")
                file.write(json.dumps({"topic": "recommendations.user", "value": None}) + "\n")
        options = ["--policy", "uniform", "--estimator", "ips"]
        bare, wrapped = (ope(path, "--events", events, *options) for path in (slates, packed))
        assert wrapped["policies"] == bare["policies"]


class TestReading:
    def read(self, slates: Path, events: Path, items: Path | None = None, **more: Any) -> ReadSlates:
        crediting = Crediting({Kind.CLICK: 1.0}, 60_000, all_seen=False)._replace(**more)
        files = SlateFiles(str(slates), [str(events)], str(items) if items else None)
        return read_slates(files, crediting, unwatched)

    def test_a_place_is_a_round_once_it_was_seen(self, jsonl: Callable[[str, Lines], Path]) -> None:
        slates = [slate(0, ("a", 0.5), ("b", 0.25), ("c", 1.0)), slate(1, ("a", 0.5)), slate(1, ("a", 0.5))]
        seen = [impression(2, 0, "b", "c"), impression(3, 1, "a"), impression(4, 1, "a")]
        log = self.read(jsonl("slates", slates), jsonl("events", seen)).log
        assert [log.arms.ids[arm] for arm in log.rounds.arm] == ["b", "a"]
        assert log.rounds.propensity.tolist() == [0.25, 0.5]
        assert [log.positions[code] for code in log.rounds.position] == ["1", "0"]
        assert log.rounds.time_ms.tolist() == [START_MS + 2_000, START_MS + 3_000]

    def test_slates_may_be_taken_for_seen(self, jsonl: Callable[[str, Lines], Path]) -> None:
        slates = [slate(5, ("a", 0.5), ("b", 0.5))]
        clicked = [event(6, kind="click", item_id="b")]
        log = self.read(jsonl("slates", slates), jsonl("events", clicked), all_seen=True).log
        assert log.rounds.time_ms.tolist() == [START_MS + 5_000] * 2
        assert log.rounds.reward.tolist() == [0.0, 1.0]

    def test_the_context_is_what_was_known_when_the_slate_was_made(
        self, jsonl: Callable[[str, Lines], Path]
    ) -> None:
        events = [
            event(1, item_id="x", category="shoes"),
            event(2, item_id="y", category="hats"),
            event(9, item_id="z", category="bags"),
            impression(3, 2, "a"),
        ]
        catalogue = jsonl("items", [{"item_id": "a", "time_ms": 1, "category": "hats", "brand": "acme"}])
        slates = jsonl("slates", [slate(2, ("a", 0.5), cold_start=True)])
        log = self.read(slates, jsonl("events", events), catalogue).log
        known = {log.values[code] for code in log.rounds.context[0]}
        assert known == {"position=0", "cold_start=True", "cause=events.browse", "viewed_category=hats"}
        assert log.arms.features == ({"item=a": 1.0, "category=hats": 1.0, "brand=acme": 1.0},)

    @pytest.mark.parametrize(
        ("slates", "events", "said"),
        [
            ([slate(0, ("a",), ("b", 1.0))], [], "None of the 2 places .* was left to chance"),
            ([slate(0, ("a", 0.5))], [], "No event says that one of the 1 slates was seen"),
            ([slate(0, ("a", 0.0))], [], "propensity of 0.0"),
            ([slate(0, ("a", 1.5))], [], "propensity of 1.5"),
            ([], [], "holds no slate"),
            ([{"topic": "t", "value": None}], [], "holds no slate"),
            ([{"hello": 1}], [], "1 of 1 rows are unreadable.*slate_id"),
            ([slate(0, ("a", 0.5))], [{"user_id": "u"}], "time_ms"),
        ],
    )
    def test_what_cannot_be_used_is_said(
        self, slates: Lines, events: Lines, said: str, jsonl: Callable[[str, Lines], Path]
    ) -> None:
        with pytest.raises(InputError, match=said):
            self.read(jsonl("slates", slates), jsonl("events", events))


class TestCommand:
    def test_the_table_is_for_eyes(self, shop: tuple[Path, Path], tmp_path: Path) -> None:
        slates, events = shop
        drawing = tmp_path / "out.svg"
        done = CliRunner().invoke(app, [str(slates), "--events", str(events), "--plot", str(drawing)])
        assert done.exit_code == 0, done.output
        assert "effective rounds" in done.stdout
        assert "▲ better" in done.stdout
        assert "popularity" in drawing.read_text()

    def test_a_gain_that_lacking_support_explains_is_open(self, jsonl: Callable[[str, Lines], Path]) -> None:
        slates, events = [], []
        for n in range(800):
            slates.append(slate(n, ("ab"[n % 2], 0.505), user=f"u{n}"))
            events.append(impression(n, n, "ab"[n % 2], user=f"u{n}"))
            if n % 4 == 0:
                events.append(event(n + 0.5, f"u{n}", kind="click", item_id="a"))
        # every weight is 0.5 / 0.505: snips says the mean reward, ips a hundredth less, for certain
        arguments = [str(jsonl("slates", slates)), "--events", str(jsonl("events", events))]
        options = ["--policy", "uniform", "--estimator", "ips", "--estimator", "snips"]
        done = CliRunner().invoke(app, [*arguments, *options])
        assert done.exit_code == 0, done.output
        assert done.stdout.count("· open") == 2

    def test_names_may_hold_what_markup_would_take_for_its_own(
        self, shop: tuple[Path, Path], tmp_path: Path
    ) -> None:
        slates, events = shop
        hostile = tmp_path / "[bold]$x$.jsonl"
        hostile.write_bytes(slates.read_bytes())
        done = CliRunner().invoke(app, [str(hostile), "--events", str(events), "--policy", "uniform"])
        assert done.exit_code == 0, done.output
        assert "[bold]$x$" in done.stdout.replace("\n", "").replace(" ", "")

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["nowhere.csv"], "nowhere.csv cannot be read"),
            (["--policy", "best"], "There is no policy 'best'"),
            (["--policy", "learned:hot"], "There is no policy 'learned:hot'"),
            (["--policy", "learned:-1"], "There is no policy 'learned:-1'"),
            (["--policy", "uniform:1"], "There is no policy 'uniform:1'"),
            (["--reward", "click"], "--reward click makes no sense"),
            (["--reward", "smile=1"], "kinds are view, click, cart"),
            (["--reward", "click=nan"], "--reward click=nan makes no sense"),
            (["--train", "0"], "must learn from rounds that are not judged"),
        ],
    )
    def test_what_cannot_be_done_is_said_with_the_way_out(
        self,
        arguments: list[str],
        said: str,
        shop: tuple[Path, Path],
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        log = [] if arguments[0].endswith(".csv") else [str(shop[0])]
        assert run(["ope", *log, *arguments]) == USAGE
        told = capsys.readouterr()
        assert told.out == ""
        assert said in told.err
        assert "fix: " in told.err

    def test_a_log_of_one_moment_cannot_be_split(self, jsonl: Callable[[str, Lines], Path]) -> None:
        slates = jsonl("slates", [slate(0, ("a", 0.5), ("b", 0.5))])
        plan = evaluation.Plan(
            [evaluation.policy_of("popularity")], ["ips"], {Kind.CLICK: 1.0}, 60.0, True, 0.5, 10, None, 7
        )
        with pytest.raises(InputError, match="all have the same time"):
            evaluation.evaluate(evaluation.Files(str(slates), [], None), plan, unwatched)


def test_the_document_names_every_policy_estimator_kind_and_option(
    capsys: pytest.CaptureFixture[str],
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "off-policy.md").read_text()
    run(["ope", "--help"])
    options = set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) - {"--help", "--seed"}
    words = {*options, *(f"`{name}`" for name in (*evaluation.POLICIES[:-1], *ESTIMATORS))}
    words |= {kind.name.lower() for kind in REWARDED}
    assert {word for word in words if word not in page} == set()


HEADER = "timestamp,item_id,position,click,propensity_score,user_feature_0,user-item_affinity_0,user-item_affinity_1"


class TestOpenBanditForm:
    @pytest.fixture
    def csv(self, tmp_path: Path) -> Callable[..., Path]:
        def make(*rows: str, header: str = HEADER) -> Path:
            path = tmp_path / "random.csv"
            path.write_text("\n".join([header, *rows]) + "\n")
            return path

        return make

    def test_a_row_is_a_round(self, csv: Callable[..., Path], tmp_path: Path) -> None:
        items = tmp_path / "items.csv"
        items.write_text("item_id,item_feature_0,item_feature_1\n0,-0.5,x\n1,0.25,y\n2,1,z\n")
        path = csv(
            "2019-11-24 00:00:01.500000+00:00,1,3,0,0.5,f,0.25,0.75",
            "2019-11-24 00:00:00+00:00,0,1,1,0.25,g,0,1",
        )
        log = read_open_bandit(str(path), str(items), {Kind.CLICK: 2.0})
        assert [log.arms.ids[arm] for arm in log.rounds.arm] == ["1", "0"]
        assert log.arms.ids == ("1", "0", "2")
        assert log.arms.features[1] == {"item=0": 1.0, "item_feature_0": -0.5, "item_feature_1=x": 1.0}
        assert log.rounds.reward.tolist() == [0.0, 2.0]
        assert log.rounds.time_ms.tolist() == [1_574_553_601_500, 1_574_553_600_000]
        assert [log.positions[code] for code in log.rounds.position] == ["3", "1"]
        names = [[log.values[code] for code in row] for row in log.rounds.context]
        assert names == [["position=3", "user_feature_0=f"], ["position=1", "user_feature_0=g"]]
        assert log.rounds.affinity.shape == (2, 0)  # no column for item 2

    def test_affinities_stand_in_the_order_of_the_arms(self, csv: Callable[..., Path]) -> None:
        path = csv("2019-11-24,1,3,0,0.5,f,0.25,0.75", "2019-11-25,0,1,1,0.5,g,0,1")
        log = read_open_bandit(str(path), None, {Kind.CLICK: 1.0})
        assert log.rounds.affinity.tolist() == [[0.75, 0.25], [1.0, 0.0]]

    @pytest.mark.parametrize(
        ("row", "said"),
        [
            ("2019-11-24,1,3,0,0,f,0,0", "line 2: a propensity of 0"),
            ("2019-11-24,1,3,0,nan,f,0,0", "line 2: a propensity of nan"),
            ("2019-11-24,1,3,nan,0.5,f,0,0", "line 2: nan is no number"),
            ("yesterday,1,3,0,0.5,f,0,0", "line 2: .*yesterday"),
            ("2019-11-24,1", "1 of 1 rows are unreadable"),
        ],
    )
    def test_a_row_that_makes_no_sense_is_named(self, row: str, said: str, csv: Callable[..., Path]) -> None:
        with pytest.raises(InputError, match=said):
            read_open_bandit(str(csv(row)), None, {Kind.CLICK: 1.0})

    def test_another_csv_is_refused(self, csv: Callable[..., Path]) -> None:
        with pytest.raises(InputError, match="no column 'propensity_score'"):
            read_open_bandit(str(csv(header="timestamp,item_id,position,click")), None, {Kind.CLICK: 1.0})

    def test_it_knows_clicks_alone(self, csv: Callable[..., Path]) -> None:
        with pytest.raises(InputError, match="clicks alone"):
            read_open_bandit(str(csv()), None, {Kind.PURCHASE: 1.0})

    def test_a_log_without_rounds_is_refused(self, csv: Callable[..., Path]) -> None:
        with pytest.raises(InputError, match="no round"):
            read_open_bandit(str(csv()), None, {Kind.CLICK: 1.0})

    def test_events_go_with_slates(
        self, csv: Callable[..., Path], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run(["ope", str(csv()), "--events", "events.jsonl"]) == USAGE
        assert "--events goes with slates" in capsys.readouterr().err


DATA = Path(os.environ.get("BENCH_DATA", Path(__file__).parents[3] / "shared" / "data")) / "open-bandit"


@pytest.mark.skipif(
    not DATA.exists(), reason="the folder shared/data with real logs is not beside this checkout"
)
@pytest.mark.parametrize(("campaign", "n_arms", "n_clicks"), [("men", 34, 46), ("women", 46, 46)])
class TestOnOpenBanditData:
    def files(self, campaign: str) -> list[object]:
        return [
            DATA / f"random_{campaign}.csv.gz",
            "--items",
            DATA / f"random_{campaign}_item_context.csv.gz",
        ]

    def test_uniform_is_the_policy_that_ran(self, campaign: str, n_arms: int, n_clicks: int) -> None:
        options = ["--policy", "logged", "--policy", "uniform", "--estimator", "ips", "--estimator", "snips"]
        found = ope(*self.files(campaign), "--train", 0, *options)
        assert (found["n_rounds"], found["n_arms"], found["n_rewarded"]) == (10_000, n_arms, n_clicks)
        assert found["on_policy"][0] == n_clicks / 10_000
        for policy in found["policies"]:
            for estimate in policy["estimates"]:
                assert estimate["value"] == pytest.approx(found["on_policy"])

    def test_doubly_robust_finds_what_the_random_policy_earned_later(
        self, campaign: str, n_arms: int, n_clicks: int
    ) -> None:
        found = ope(*self.files(campaign), "--policy", "uniform", "--estimator", "dr", "--estimator", "dm")
        dr, dm = found["policies"][0]["estimates"]
        truth = found["on_policy"][0]
        assert dr["value"][1] <= truth <= dr["value"][2]
        assert dr["value"][0] == pytest.approx(truth, abs=0.0005)
        assert dm["value"][0] < truth  # there were fewer clicks in the first half

    def test_a_policy_that_was_hardly_ever_followed_is_told_to_be_thin(
        self, campaign: str, n_arms: int, n_clicks: int
    ) -> None:
        found = ope(*self.files(campaign), "--policy", "popularity", "--policy", "learned:1")
        popularity, learned = found["policies"]
        assert popularity["thin"]
        assert popularity["support"]["max_weight"] == pytest.approx(n_arms)
        assert popularity["warnings"]
        assert not learned["thin"]
        low, high = learned["support"]["mean_weight"][1:]
        assert low - 0.02 <= 1.0 <= high + 0.02

    def test_a_log_of_another_policy_tells_what_the_random_one_earned(
        self, campaign: str, n_arms: int, n_clicks: int
    ) -> None:
        """Keeping some arms up to five times as often as others makes a log of a policy that is not uniform."""
        rounds = read_open_bandit(str(self.files(campaign)[0]), None, {Kind.CLICK: 1.0}).rounds
        truth = n_clicks / 10_000
        kept = np.linspace(0.2, 1.0, n_arms)
        biased = rounds._replace(propensity=(kept / kept.sum())[rounds.arm])
        found = []
        for seed in range(40):
            part = biased.where(np.random.default_rng(seed).random(rounds.n) < kept[rounds.arm])
            columns = {"uniform": weighed(Uniform(n_arms), None, part, n_arms)}
            policy = judge(part, columns, ["ips", "snips"], None, seed).policies[0]
            assert policy.support.mean_weight.mean == pytest.approx(1.0, abs=0.05)
            found.append([estimate.value for estimate in policy.estimates])
        by_estimator = np.array(found)  # (40, 2, 3)
        error = by_estimator[:, :, 0].std(axis=0, ddof=1) / np.sqrt(40)
        assert np.all(np.abs(by_estimator[:, :, 0].mean(axis=0) - truth) < 4 * error)
        held = (by_estimator[:, :, 1] <= truth) & (truth <= by_estimator[:, :, 2])
        assert np.all(held.mean(axis=0) >= 0.9)

"""``rillet explain``: what a worker answers, whom the command asks, and what it tells of a log."""

import asyncio
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from chaos import Oracle, WorkerProcess, read_all, shop_events, wait_for

from models.interest.codec import encode
from models.interest.fold import fold
from models.interest.settings import InterestSettings
from models.interest.state import State
from models.knowledge.settings import KnowledgeSettings
from models.path import Path as PurePath
from models.rank.features import OF_ITEM, OF_PAIR
from schemas import topics
from schemas.events import Browse
from schemas.explain import ABSENT, Contribution, ExplainedItem, Explanation, OwnEvent, Says, Taste
from schemas.outputs import Slate
from streams import errors
from streams.broker import KafkaBroker
from streams.cli import run
from streams.explain import words
from streams.explain.answer import Answer, Answerer, refusal
from streams.explain.ask import ask, default_url
from streams.health import Health
from streams.settings import fields, load

NOW_MS = 1_790_000_000_000


def told(user: str, **more: Any) -> Explanation:
    return Explanation(
        user_id=user,
        slate_id="events.browse-0-1",
        time_ms=NOW_MS,
        now_ms=NOW_MS,
        model_version="fixed",
        n_candidates=0,
        n_places=20,
        mean_raw_score=0.0,
        cold_start=True,
        items=[],
        **more,
    )


@pytest.fixture(scope="module")
def path() -> PurePath:
    return PurePath(load().path()._replace(knowledge=KnowledgeSettings(max_items=64)))


class TestAnswers:
    """Those of one worker."""

    def answerer(self, path: PurePath, stored: bytes | None = None, **more: Any) -> Answerer:
        given = {"owns": lambda *_: True, "missing": list, **more}
        return Answerer(path, lambda _, keys: [stored for _ in keys], 8, **given)

    def test_a_user_with_a_state_is_explained(self, path: PurePath) -> None:
        state = State()
        fold(
            state,
            [(topics.BROWSE, 0, 7, Browse(event_id="e", user_id="u", time_ms=NOW_MS, item_id="a"))],
            InterestSettings(),
        )
        status, body = self.answerer(path, encode(state))("u", "a")
        explained = msgspec.json.decode(body, type=Explanation)
        assert (status, explained.user_id, explained.slate_id) == (200, "u", "events.browse-0-7")
        assert explained.asked is not None
        assert [absent.reason for absent in explained.asked.absent] == [
            "unknown"
        ]  # nobody's fact was learned

    def test_the_partition_of_the_key_is_read(self, path: PurePath) -> None:
        asked: list[tuple[int, list[bytes]]] = []

        def load_(partition: int, keys: Any) -> list[bytes | None]:
            asked.append((partition, list(keys)))
            return [None]

        Answerer(path, load_, 4, lambda *_: True, list)("21", None)
        assert asked == [
            (0, [b"21"])
        ]  # murmur2 of "21" is -973932308: & 0x7fffffff is 1,173,551,340, divides by 4

    @pytest.mark.parametrize(
        ("user", "item", "more", "status", "error"),
        [
            ("", None, {}, 400, "empty"),
            ("u" * 257, None, {}, 400, "longer"),
            ("u", "é" * 129, {}, 400, "longer"),
            ("u", "", {}, 400, "empty"),
            ("u", None, {"missing": lambda: ["tables recovered"]}, 503, "tables recovered"),
            ("u", None, {"owns": lambda *_: False}, 421, "not this worker's"),
            ("u", None, {}, 404, "Nothing is remembered"),
        ],
    )
    def test_what_cannot_be_answered_is_told_with_the_way_out(
        self, path: PurePath, user: str, item: str | None, more: dict[str, Any], status: int, error: str
    ) -> None:
        answer = self.answerer(path, **more)(user, item)
        body = json.loads(answer.body)
        assert answer.status == status
        assert error in body["error"]
        assert body["fix"].endswith(".")

    def test_a_state_of_a_newer_release_is_told(self, path: PurePath) -> None:
        assert self.answerer(path, b"\xff")("u", None).status == 500


@contextmanager
def serving(explain: Callable[[str, str | None], Answer] | None) -> Iterator[str]:
    """A health server in a thread; its address."""
    loop = asyncio.new_event_loop()
    gets = {"/explain": lambda query: explain(query.get("user", ""), query.get("item"))} if explain else {}
    health = Health(list, lambda: None, SimpleNamespace(gets=gets, posts={}))
    port = loop.run_until_complete(health.start("127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        asyncio.run_coroutine_threadsafe(health.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def explains(user: str, item: str | None) -> Answer:
    asked = None if item is None else ExplainedItem(item_id=item)
    return Answer(200, msgspec.json.encode(told(user, asked=asked)))


class TestAsking:
    """Workers, over HTTP."""

    def test_ids_arrive_as_they_are(self) -> None:
        odd_user, odd_item = "ü &user=x%41/?#", "i tem+\t"
        with serving(explains) as url:
            answer = ask([url], odd_user, odd_item)
        assert answer is not None
        assert answer.asked is not None
        assert (answer.user_id, answer.asked.item_id) == (odd_user, odd_item)

    def test_the_next_worker_is_asked_where_the_user_is_anothers(self) -> None:
        with (
            serving(lambda *_: refusal(421, "elsewhere", "ask there.")) as first,
            serving(explains) as second,
        ):
            answer = ask(["127.0.0.1:1", first, second.removeprefix("http://")], "u", None)
        assert answer == told("u")

    def test_the_worker_that_has_the_partition_has_the_last_word(self) -> None:
        with serving(lambda *_: refusal(404, "nothing", "check.")) as first, serving(explains) as second:
            assert ask([first, second], "u", None) is None

    def test_what_every_worker_said_is_told(self) -> None:
        with (
            serving(lambda *_: refusal(503, "waits for tables.", "wait.")) as waiting,
            serving(None) as older,
            pytest.raises(errors.InputError) as caught,
        ):
            ask([waiting, older, "127.0.0.1:1"], "u", None)
        assert f"{waiting}: waits for tables." in caught.value.problem
        assert f"{older}: answers 404: is it a worker of this release?" in caught.value.problem
        assert "127.0.0.1:1: does not answer" in caught.value.problem
        assert "--log" in caught.value.fix

    def test_another_server_is_not_taken_for_a_worker(self) -> None:
        with (
            serving(lambda *_: Answer(200, b"[]")) as url,
            pytest.raises(errors.InputError, match="something else"),
        ):
            ask([url], "u", None)

    @pytest.mark.parametrize("worker", ["ftp://x", "http://", "http://x:port", "x:99999"])
    def test_addresses_that_are_none_are_refused(self, worker: str) -> None:
        with pytest.raises(errors.InputError, match="no address"):
            ask([worker], "u", None)

    def test_the_settings_say_where_the_worker_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RILLET_WORKER__WEB_HOST", "0.0.0.0")
        monkeypatch.setenv("RILLET_WORKER__WEB_PORT", "7001")
        assert default_url(load().worker) == "http://127.0.0.1:7001"
        monkeypatch.setenv("RILLET_WORKER__WEB_PORT", "0")
        with pytest.raises(errors.InputError, match="open"):
            default_url(load().worker)


class TestWords:
    """The reasons of an item."""

    def test_every_feature_of_items_and_pairs_has_its_phrases(self) -> None:
        assert set(words.PHRASES) == {*OF_ITEM, *OF_PAIR}, "give new features their words"

    @pytest.mark.parametrize(
        ("age_s", "text"),
        [
            (0.4, "0 s ago"),
            (89.0, "89 s ago"),
            (180.0, "3 min ago"),
            (7_200.0, "2 h ago"),
            (1e6, "12 days ago"),
        ],
    )
    def test_ages_are_told_in_the_unit_that_fits(self, age_s: float, text: str) -> None:
        assert words.ago(age_s) == text

    def test_reasons_are_told_against_the_mean_candidate(self) -> None:
        event = OwnEvent(kind="view", what="x", time_ms=NOW_MS, age_s=180.0, dwell_ms=40_000)
        says = {"place": 1, "score": 1.0, "share": 1.0}
        item = ExplainedItem(
            item_id="i",
            place=3,
            greedy_place=None,
            rank=9,
            propensity=0.123,
            explored=True,
            sources=[
                Says(
                    source="session_knn", contribution=0.9, above_mean=0.62, because="x", event=event, **says
                ),
                Says(
                    source="content",
                    contribution=0.2,
                    above_mean=-0.1,
                    tastes=[Taste(kind="brand", name="b", weight=0.5)],
                    **says,
                ),
                Says(source="trending", contribution=0.1, above_mean=0.0, **says),
            ],
            contributions=[
                # above the mean with a positive weight: more of it than the others. Below it with a negative: less.
                Contribution(
                    feature="popularity_now", value=1, weight=0.5, contribution=0.5, above_mean=0.21
                ),
                Contribution(feature="price_gap", value=0.1, weight=-1, contribution=-0.1, above_mean=0.05),
                Contribution(feature="trend", value=0.1, weight=0.1, contribution=0.01, above_mean=0.001),
                Contribution(feature="always", value=1, weight=3.0, contribution=3.0, above_mean=0.0),
            ],
        )
        assert words.why(item) == (
            "brought by session_knn because you viewed x 3 min ago, for 40 s (+0.62); "
            "content because of brand b 0.50 (-0.10); popular now (+0.21); price close to yours (+0.05); "
            "exploration, propensity 0.12"
        )


def rillet(*arguments: object) -> subprocess.CompletedProcess[str]:
    code = "from streams.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, timeout=170
    )


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty sessions along a ring of 12 items; the last, of ``s39``, ends at item 4."""
    rows = ["SessionId\tItemId\tTime"]
    for session in range(40):
        rows += [
            f"s{session}\t{(session + n) % 12}\t{1_600_000_000 + session * 100 + n}"
            for n in range(1 + session % 3)
        ]
    path = tmp_path_factory.mktemp("log") / "clicks.tsv"
    path.write_text("\n".join(rows) + "\n")
    return path


class TestLogs:
    """Without a worker."""

    def test_the_slate_at_the_end_is_told_in_words(self, log: Path) -> None:
        done = rillet("explain", "s38", "--log", log, "--mapping", "serenade")
        assert done.returncode == 0, done.stderr
        text = " ".join(done.stdout.split())
        assert text.startswith("s38: ")
        assert "\x1b" not in done.stdout
        # s38 looked at items 2, 3 and 4 of the ring; the log ends 98 s later.
        assert "brought by" in text
        assert "because you viewed 4 2 min ago" in text

    def test_one_item_is_told_in_full(self, log: Path) -> None:
        done = rillet("explain", "s38", "5", "--log", log, "--mapping", "serenade")
        assert done.returncode == 0, done.stderr
        assert "place 1 of" in done.stdout
        assert "contributions to the raw score" in done.stdout
        assert "█" in done.stdout
        absent = rillet("explain", "s38", "3", "--log", log, "--mapping", "serenade")
        assert ABSENT["viewed"] in " ".join(absent.stdout.split())

    def test_json_holds_everything(self, log: Path) -> None:
        arguments = (
            "--log",
            log,
            "--mapping",
            "serenade",
            "--json",
            "--all",
            "--set",
            "publish.slate_length=2",
        )
        done = rillet("explain", "s38", "11", *arguments)
        assert done.returncode == 0, done.stderr
        explained = msgspec.json.decode(done.stdout, type=Explanation)
        assert (len(explained.items), explained.n_places) == (2, 2)
        assert len(explained.items) + len(explained.others) == explained.n_candidates
        for item in (*explained.items, *explained.others):
            assert sum(each.contribution for each in item.contributions) == pytest.approx(
                item.raw_score, abs=1e-5
            )

    def test_a_user_that_the_log_does_not_have_ends_with_1(self, log: Path) -> None:
        done = rillet("explain", "nobody", "--log", log, "--mapping", "serenade")
        assert (done.returncode, done.stdout) == (errors.FOUND, "")
        assert "nothing is remembered of 'nobody'" in done.stderr


def test_the_document_names_every_reason_and_only_settings_that_are() -> None:
    page = (Path(__file__).parents[2] / "docs/explain.md").read_text()
    table = re.findall(r"^\| `(\w+)` \|.*\| (.*) \|$", page, re.MULTILINE)[1:]  # behind its head
    assert [reason for reason, _ in table] == list(ABSENT)
    named = re.findall(r"`((?:rank|publish|knowledge|interest|worker)\.[\w.]+)`", page)
    assert named
    assert set(named) <= {name for name, _ in fields()}


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["u", "--all"], "--all need a log"),
        (["u", "--mapping", "ga4", "--set", "rank.mmr_lambda=1"], "--mapping and --set need a log"),
        (["u", "--log", "x.tsv", "--worker", "http://x"], "exclude each other"),
        (["u", "--log", "/nowhere/x.tsv"], "/nowhere/x.tsv"),
        (["u", "--worker", "127.0.0.1:1"], "does not answer"),
    ],
)
def test_mistakes_are_told_with_the_way_out(
    arguments: list[str], found: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["explain", *arguments]) == errors.USAGE
    message = capsys.readouterr().err
    assert found in message
    assert "fix: " in message


def test_a_worker_explains_the_slate_that_it_published(
    embedded: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    oracle = Oracle(embedded)
    with WorkerProcess(embedded, "app", "w1", tmp_path) as worker:
        worker.start()
        wait_for(worker.ready, "the worker is ready", worker=worker)
        for topic, event in shop_events(400, 10, 5, int(time.time() * 1000) - 400):
            oracle.send(topic, event)
        oracle.flush()
        wait_for(lambda: oracle.settled("app"), "all events are committed", worker=worker)
        slates: dict[str, Slate] = {}
        for message in read_all(embedded, topics.SLATES):
            slate = msgspec.json.decode(message.value(), type=Slate)
            slates[slate.user_id] = slate
        address = str(worker.health())
        still_placed = 0
        for user, slate in slates.items():
            first = slate.items[0].item_id
            explained = ask([address], user, first)
            assert explained is not None
            assert explained.asked is not None
            # Others' events came in after this user's: what is known and learned is newer than the slate.
            assert explained.time_ms >= slate.event_time_ms
            placed = {item.item_id: item for item in explained.items}
            assert explained.asked == placed.get(first, explained.asked)
            assert explained.asked.item_id == first
            still_placed += first in placed
        assert still_placed > len(slates) / 2
        assert run(["explain", "u1", "--worker", address]) == errors.OK
        assert "brought by" in capsys.readouterr().out
        assert run(["explain", "nobody", "--worker", address]) == errors.FOUND
        assert worker.stop() == 0
    log = worker.log_path.read_text()
    assert "Traceback" not in log
    assert "user=" not in log


def test_of_two_workers_the_one_with_the_partition_answers(
    own_kafka: KafkaBroker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    servers, users = own_kafka.bootstrap_servers, [f"u{n}" for n in range(20)]
    oracle = Oracle(servers)
    with (
        WorkerProcess(servers, "app", "w1", tmp_path) as first,
        WorkerProcess(servers, "app", "w2", tmp_path) as second,
    ):
        first.start()
        second.start()
        for worker in (first, second):
            wait_for(worker.ready, "the worker is ready", worker=worker)
        for topic, event in shop_events(400, 20, 5, int(time.time() * 1000) - 400):
            oracle.send(topic, event)
        oracle.flush()
        wait_for(lambda: oracle.settled("app"), "all events are committed", worker=first)
        workers = [str(first.health()), str(second.health())]

        told_of: list[str] = []

        def answered(address: str, user: str) -> bool:
            try:
                return ask([address], user, None) is not None
            except errors.InputError as error:
                told_of.append(error.problem)
                return False

        by_user = {user: [answered(address, user) for address in workers] for user in users}
        assert all(sum(each) == 1 for each in by_user.values()), by_user
        assert all("not this worker's" in problem for problem in told_of)
        assert {each.index(True) for each in by_user.values()} == {0, 1}
        for user in users[:4]:
            assert (
                run(["explain", user, "--worker", workers[0], "--worker", workers[1], "--json"]) == errors.OK
            )
            assert json.loads(capsys.readouterr().out)["user_id"] == user

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from schemas.events import Browse
from schemas.outputs import ReasonCode, Slate, SlateItem
from streams import cli, demo_worker
from streams.demo import ANSWER_S, _pace, _Queue
from streams.demo_figures import Figures, Look
from streams.demo_view import Moment, because, plain_line, screen, summary, view
from streams.demo_worker import WorkerDiedError, running_worker
from streams.log import Logged


def a_slate(user_id: str, event_id: str, *item_ids: str) -> Slate:
    return Slate(
        slate_id="events.browse-0-1",
        user_id=user_id,
        items=[SlateItem(item_id, 1.0, [ReasonCode("covisitation", 1.0, "i9")]) for item_id in item_ids],
        event_id=event_id,
        event_time_ms=1,
        processed_ms=2,
        model_version="v",
    )


def some_figures() -> Figures:
    figures = Figures(2, {"i1": "Nora lamp", "i9": "Nora rug"})
    figures.sent(["e1"], [Look("ann", "i9")], at_s=10.0)
    figures.arrived(a_slate("ann", "e1", "i1", "i2"), at_s=10.020)
    figures.sent(["e2"], [Look("ann", "i1", oracle=1)], at_s=11.0)
    figures.arrived(a_slate("ann", "e2", "i2"), at_s=11.040)
    return figures


def test_latency_is_from_sent_to_read() -> None:
    latency = some_figures().latency()
    assert latency is not None
    assert latency.n == 2
    assert latency.p50_ms == pytest.approx(30.0)  # of 20 ms and 40 ms


def test_a_look_is_scored_by_the_slate_that_had_arrived() -> None:
    rates = some_figures().scores.rates()
    assert (rates.n_looks, rates.ours, rates.oracle) == (1, 1.0, 1.0)


def test_rates_are_of_the_last_seconds() -> None:
    figures = Figures(2, {})
    figures.sent(["a", "b", "c"], [], at_s=1.0)
    figures.sent(["d"] * 6, [], at_s=10.0)
    assert figures.events.n == 9
    assert figures.events.per_s(11.0) == pytest.approx(6 / 3.0)


def test_a_plain_line_tells_the_figures() -> None:
    line = plain_line(some_figures(), Moment("a simulated shop", 5.0, 60.0, 11.0))
    assert "2 events  2 slates  latency p50 30 ms" in line
    assert "hit@2 100.0%  popular 0.0%  oracle 100.0%" in line


def test_the_screen_and_the_table_can_be_drawn_from_the_start_on() -> None:
    console = Console(file=io.StringIO(), width=120)
    for figures in (Figures(20, {}), some_figures()):
        console.print(screen(figures, Moment("a simulated shop", 0.0, 60.0, 11.0)))
        console.print(summary(figures, Moment("a simulated shop", 0.0, 60.0, 11.0)))
    drawn = console.file.getvalue()  # type: ignore[attr-defined]
    assert "for ann, who just looked at Nora lamp" in drawn
    assert "none yet" in drawn


def test_reasons_are_told_in_words_and_unknown_ones_by_name() -> None:
    figures = some_figures()
    assert because(figures, ReasonCode("covisitation", 1.0, "i9")) == "viewed together with: Nora rug"
    assert because(figures, ReasonCode("new_source", 1.0)) == "new source"


def test_without_a_terminal_there_are_plain_lines() -> None:
    output = io.StringIO()
    with view(Console(file=output)) as shown:
        shown.status("starting")
        shown.status("starting")
        shown.show(some_figures(), Moment("a simulated shop", 5.0, 60.0, 100.0))
        shown.show(some_figures(), Moment("a simulated shop", 5.1, 60.0, 100.1))
    assert len(output.getvalue().splitlines()) == 2
    assert "\x1b" not in output.getvalue()


def test_the_summary_is_null_where_nothing_was_counted() -> None:
    told = Figures(20, {}).summary(1.0, simulation=True, seed=7)
    assert told["hit_rate"] == {"k": 20, "n": 0, "rillet": None, "most_popular": None, "oracle": None}
    assert told["latency_ms"] is None


def test_the_demo_shows_slates_from_end_to_end(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["demo", "--seconds", "6", "--rate", "60", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["simulation"] is True
    assert told["events"] > 100
    assert told["slates"] > 50
    assert told["hit_rate"]["n"] > 20
    assert told["recommendations"]["read"] > 0


def looks(*users: str) -> Iterator[Logged]:
    for n, user in enumerate(users):
        yield Logged(
            "events.browse", Browse(event_id=f"e{n}", user_id=user, time_ms=n, item_id=f"i{n}"), (f"i{n}",)
        )


def test_a_log_s_user_waits_for_the_slate_while_others_go_on() -> None:
    queue = _Queue(looks("ann", "ann", "bob", "ann"))
    assert [each.event.event_id for each in queue.take(10, 0.0)] == ["e0", "e2"]
    assert queue.take(10, 0.1) == []
    queue.answer(["e0"])
    assert [each.event.event_id for each in queue.take(10, 0.2)] == ["e1"]
    assert not queue.empty


def test_a_log_s_user_does_not_wait_for_ever() -> None:
    queue = _Queue(looks("ann", "ann"))
    queue.take(1, 0.0)
    assert [each.event.event_id for each in queue.take(1, ANSWER_S)] == ["e1"]
    queue.answer(["e0"])  # late: the one that it waits for now is e1
    assert queue.empty


def test_a_log_keeps_the_rate() -> None:
    queue = _Queue(looks("ann", "bob", "cy"))
    assert len(queue.take(2, 0.0)) == 2
    assert queue.take(0, 0.0) == []


def test_the_shop_slows_down_when_the_worker_is_behind() -> None:
    # At 500 events/s, 250 are half a second: still full speed; 500 are a second: all but still.
    assert _pace(0, 500.0) == 1.0
    assert _pace(250, 500.0) == 1.0
    assert _pace(375, 500.0) == pytest.approx(0.5)
    assert _pace(5_000, 500.0) == pytest.approx(0.02)


def test_a_worker_that_ends_is_told_with_the_end_of_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        demo_worker, "_COMMAND", [sys.executable, "-c", "print('no luck today'); raise SystemExit(3)"]
    )
    with (
        running_worker("127.0.0.1:1", tmp_path) as worker,
        pytest.raises(WorkerDiedError, match=r"(?s)exit code 3.*no luck today.*fix:"),
    ):
        worker.wait_until_ready(lambda _: None)

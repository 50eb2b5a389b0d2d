"""``rillet demo``: a broker, a worker and a simulated shop on this machine, and a view of what comes out.

Nothing is installed, nothing is kept. ``--log`` runs the events of a real shop instead of the simulation.
"""

import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import msgspec
import typer

from models.kinds import Kind
from models.simulate.shop import Batch, Shop
from schemas.catalog import Item
from schemas.quality import QualityReport
from schemas.topics import DEAD_LETTER, ITEMS, QUALITY
from streams.commands.options import Json, example, new_app, print_json
from streams.demo_figures import Figures, Look
from streams.demo_view import Moment, View, console, summary, view
from streams.demo_worker import DemoWorker, running_worker
from streams.log import Log, Logged
from streams.settings import KafkaSettings
from streams.simulate import (
    Arrived,
    Sender,
    Tail,
    drive,
    fault_settings,
    publish_catalogue,
    shop_settings,
    slate_tail,
)

WATCH_S: Final = 0.5
DRAIN_S: Final = 1.0
SLATE_LENGTH: Final = 20
"""The worker's default; what the demo calls a hit is a place among these."""
SHOPPERS: Final = 2_000
BEHIND_S: Final = 0.5
"""A worker further behind than this slows the simulated shop down; at twice this it all but stands still."""
SLOWEST: Final = 0.02
LOG_TICK_S: Final = 0.02
LOOK_AHEAD: Final = 2_000
"""Events of a log that may wait for their user's slate while those of other users overtake them."""
ANSWER_S: Final = 1.0
"""A user's next event waits no longer than this for the slate of the one before."""

app = new_app()


class _Named(msgspec.Struct):
    """The one field of an event that the demo needs back."""

    event_id: str


class Round(NamedTuple):
    """What happened in a tick: slates that arrived, then events that were sent."""

    slates: list[Arrived]
    event_ids: list[str]
    looks: list[Look]
    sent_s: float


class Stage(NamedTuple):
    """What every run has: the broker, its clients, the worker and the figures."""

    kafka: KafkaSettings
    sender: Sender
    slates: Tail[Arrived]
    others: Tail[tuple[str, Any]]
    worker: DemoWorker
    figures: Figures


@app.command(
    epilog=example(
        "rillet demo",
        "rillet demo --seconds 20 --rate 200 --json",
        "rillet demo --log events.tsv.gz --mapping serenade",
    )
)
def demo(
    seconds: Annotated[float, typer.Option(min=1.0, help="How long to run.")] = 60.0,
    rate: Annotated[float, typer.Option(min=1.0, help="Mean events a second.")] = 500.0,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same shop and shoppers.")] = 7,
    faults: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of the simulated events with a data fault.")
    ] = 0.01,
    log: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Run the event log of a real shop instead of the simulation."),
    ] = None,
    mapping: Annotated[
        str | None,
        typer.Option(metavar="PRESET|FILE", help="What the log's columns mean; guessed by default."),
    ] = None,
    as_json: Json = False,
) -> None:
    """See it work: a broker, a worker and a simulated shop, with what it recommends and how well.

    Shows events in, slates out, latency, hit rate beside the most popular items and beside the simulation's
    own oracle, and the quality of the data. Needs nothing but this package and keeps nothing."""
    read = Log(log, mapping) if log else None
    screen = console(as_json=as_json)
    with ExitStack() as stack:
        stack.enter_context(_ending_like_ctrl_c())
        shown = stack.enter_context(view(screen))
        stage = stack.enter_context(_stage(shown))
        if read:
            what, rounds = f"the log {read.name}", _log_rounds(stage, read, rate)
        else:
            what, rounds = "a simulated shop", _shop_rounds(stage, rate=rate, seed=seed, faults=faults)
        moment = _run(stage, shown, rounds, what, seconds)
    if as_json:
        print_json(
            stage.figures.summary(moment.elapsed_s, simulation=log is None, seed=None if log else seed)
        )
    else:
        screen.print(summary(stage.figures, moment))


@contextmanager
def _ending_like_ctrl_c() -> Iterator[None]:
    """A closed terminal or a polite kill ends the demo in order too, so that no worker is left behind."""
    endings = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(ending, signal.default_int_handler) for ending in endings]
    try:
        yield
    finally:
        for ending, handler in zip(endings, before, strict=True):
            signal.signal(ending, handler)


@contextmanager
def _stage(shown: View) -> Iterator[Stage]:
    """Broker and worker, up and ready."""
    from streams.broker import embedded

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rillet-demo-")))
        shown.status("starting an embedded broker")
        kafka = KafkaSettings(bootstrap_servers=stack.enter_context(embedded()))
        shown.status("starting a worker")
        worker = stack.enter_context(running_worker(kafka.bootstrap_servers, folder))
        worker.wait_until_ready(lambda missing: shown.status(f"starting a worker, waiting for {missing}"))
        stage = Stage(
            kafka=kafka,
            sender=Sender(kafka.producer()),
            slates=stack.enter_context(slate_tail(kafka.consumer())),
            others=stack.enter_context(Tail(kafka.consumer(), [DEAD_LETTER, QUALITY], _other)),
            worker=worker,
            figures=Figures(SLATE_LENGTH, {}),
        )
        stack.enter_context(_watching(stage))
        yield stage


def _other(topic: str, value: bytes, _: float) -> tuple[str, Any]:
    return topic, msgspec.json.decode(value, type=QualityReport) if topic == QUALITY else None


@contextmanager
def _watching(stage: Stage) -> Iterator[None]:
    """Asks the worker now and then how far it is, beside the run."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(WATCH_S):
            n_sent = stage.figures.events.n
            taken = stage.worker.n_records()
            if taken is not None:
                stage.figures.behind = max(0, n_sent - taken)

    thread = threading.Thread(target=watch, name="watch worker", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _run(stage: Stage, shown: View, rounds: Iterator[Round], what: str, seconds: float) -> Moment:
    """Count every round and show it, until time is up, the log ends, or Ctrl-C."""
    began_s = time.monotonic()
    moment = Moment(what, 0.0, seconds, began_s)
    with suppress(KeyboardInterrupt):
        for each in rounds:
            _count(stage, each)
            now_s = time.monotonic()
            moment = Moment(what, now_s - began_s, seconds, now_s)
            stage.worker.check()
            shown.show(stage.figures, moment)
            if moment.elapsed_s >= seconds:
                break
        _drain(stage)
    return moment


def _count(stage: Stage, each: Round) -> None:
    figures = stage.figures
    for slate, at_s in each.slates:
        figures.arrived(slate, at_s)
    figures.sent(each.event_ids, each.looks, each.sent_s)
    for topic, report in stage.others.take():
        if topic == QUALITY:
            figures.quality[report.source] = report
            figures.reasons.update(report.rejected)
        else:
            figures.n_dead_letters += 1


def _drain(stage: Stage) -> None:
    """The slates of the last events are still under way."""
    deadline_s = time.monotonic() + DRAIN_S
    while time.monotonic() < deadline_s:
        time.sleep(LOG_TICK_S)
        _count(stage, Round(stage.slates.take(), [], [], time.monotonic()))


def _shop_rounds(stage: Stage, *, rate: float, seed: int, faults: float) -> Iterator[Round]:
    """The simulated shop; a minute is one of its days."""
    import numpy as np

    settings = shop_settings(
        rate=rate,
        shoppers=max(SHOPPERS, int(4 * rate)),
        faults=fault_settings(faults, ()),
        seed=seed,
        day_s=60.0,
        k=SLATE_LENGTH,
        oracle_share=1.0,
    )
    now_ms = int(time.time() * 1000)
    shop = Shop(settings, np.random.default_rng(seed), now_ms)
    stage.figures.titles |= publish_catalogue(shop, stage.sender, now_ms)
    for tick in drive(shop, stage.sender, stage.slates.take, speed=lambda: _pace(stage.figures.behind, rate)):
        stage.figures.n_impressions += tick.reactions.n_impressions
        stage.figures.n_clicks += tick.reactions.n_clicks
        stage.figures.titles |= _new_titles(tick.batch)
        yield Round(tick.slates, _event_ids(tick.batch), _looks(tick.batch, shop.item_ids), tick.sent_s)


def _pace(behind: int, rate: float) -> float:
    """1 while the worker keeps up; less the further it is behind, so that slates stay fresh on a slow machine."""
    behind_s = behind / rate
    return min(1.0, max(SLOWEST, 2.0 - behind_s / BEHIND_S))


def _event_ids(batch: Batch) -> list[str]:
    """Ids of the events; one that cannot be read has a name that no slate will ever answer to."""
    decode = msgspec.json.Decoder(_Named).decode
    ids = []
    for value, kind in zip(batch.values, batch.truth.kind.tolist(), strict=True):
        if kind and value is not None:
            try:
                ids.append(decode(value).event_id)
            except msgspec.MsgspecError:
                ids.append(f"unreadable-{len(ids)}")
    return ids


def _looks(batch: Batch, item_ids: list[str]) -> list[Look]:
    """The looks at items, those spoilt by a fault left out."""
    truth = batch.truth
    rows = ((truth.kind == Kind.VIEW) & (truth.fault == 0)).nonzero()[0].tolist()
    return [
        Look(
            batch.keys[row].decode(),
            item_ids[truth.item[row]],
            from_slate=bool(truth.from_slate[row]),
            oracle=int(truth.oracle[row]),
        )
        for row in rows
    ]


def _new_titles(batch: Batch) -> dict[str, str]:
    entries = [
        msgspec.json.decode(value, type=Item)
        for topic, value in zip(batch.topics, batch.values, strict=True)
        if topic == ITEMS and value is not None
    ]
    return {entry.item_id: entry.title or entry.item_id for entry in entries}


def _log_rounds(stage: Stage, log: Log, rate: float) -> Iterator[Round]:
    """A log at a rate; an event waits for the slate of its user's one before, so that each is tested fairly.

    Record timestamps are event times, so that no event of long ago is late.
    """
    queue = _Queue(iter(log))
    began_s, n_sent = time.monotonic(), 0
    while not queue.empty:
        now_s = time.monotonic()
        slates = stage.slates.take()
        queue.answer([each.slate.event_id for each in slates])
        due = queue.take(int((now_s - began_s) * rate) - n_sent, now_s)
        n_sent += len(due)
        stage.sender.send(
            [each.topic for each in due],
            [each.event.user_id.encode() for each in due],
            [msgspec.json.encode(each.event) for each in due],
            [each.event.time_ms for each in due],
        )
        looks = [Look(each.event.user_id, item_id) for each in due for item_id in each.item_ids]
        yield Round(slates, [each.event.event_id for each in due], looks, now_s)
        time.sleep(max(0.0, LOG_TICK_S - (time.monotonic() - now_s)))


class _Queue:
    """Events of a log, in order for each user; one whose last event is unanswered waits, others overtake."""

    def __init__(self, events: Iterator[Logged]) -> None:
        self._events = events
        self._ahead: list[Logged] = []
        self._waiting: dict[str, tuple[str, float]] = {}
        self._asked: dict[str, str] = {}
        self._fill()

    @property
    def empty(self) -> bool:
        """Whether everything was handed out."""
        return not self._ahead

    def answer(self, event_ids: list[str]) -> None:
        """Slates came for these events: their users go on."""
        for event_id in event_ids:
            user_id = self._asked.pop(event_id, None)
            if user_id is not None:
                self._waiting.pop(user_id, None)

    def take(self, n: int, now_s: float) -> list[Logged]:
        """Up to ``n`` events of different users that wait for nothing."""
        due: list[Logged] = []
        later: list[Logged] = []
        blocked = {user for user, (_, since_s) in self._waiting.items() if now_s - since_s < ANSWER_S}
        for each in self._ahead:
            user_id = each.event.user_id
            if len(due) < n and user_id not in blocked:
                due.append(each)
                self._wait(each, now_s)
            else:
                later.append(each)
            blocked.add(user_id)
        self._ahead = later
        self._fill()
        return due

    def _wait(self, each: Logged, now_s: float) -> None:
        before = self._waiting.pop(each.event.user_id, None)
        if before is not None:
            self._asked.pop(before[0], None)
        self._waiting[each.event.user_id] = (each.event.event_id, now_s)
        self._asked[each.event.event_id] = each.event.user_id

    def _fill(self) -> None:
        while len(self._ahead) < LOOK_AHEAD:
            each = next(self._events, None)
            if each is None:
                return
            self._ahead.append(each)

"""``rillet simulate``: sends the events of a simulated shop, whose shoppers read their recommendations.

The shop itself is ``models.simulate``; here are the clock, the broker and the command line. Live, a second of
the shop is a second of the wall clock: events are stamped with the moment at which they are sent, neither
late nor from the future. Only the day is shorter, so that its rhythm shows."""

import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Annotated, Any, Final, Generic, NamedTuple, Self, TypeVar

import msgspec
import typer
from pydantic import ValidationError

from models.simulate.reading import Reactions, ReadSlate
from models.simulate.settings import (
    EVENTS_PER_ACT,
    FAULTS,
    MEAN_GAP_OF_MEDIAN,
    FaultSettings,
    SimulateSettings,
)
from models.simulate.shop import Batch, Shop
from schemas.catalog import Item
from schemas.outputs import Slate
from schemas.topics import ITEMS, PROMOTIONS, SLATES
from streams.commands.options import Config, Json, example, new_app, note, print_json
from streams.errors import BrokerRefusedError, InputError

TICK_S: Final = 0.02
FAST_TICK_S: Final = 0.5
"""Seconds of the shop that are made at once when it runs as fast as possible."""
SLICES_PER_S: Final = 10.0
BUSY_SHARE: Final = 0.25
"""Gaps are chosen so that no more than this share of the shoppers is in a session at once."""
MAX_GAP_S: Final = 2.0
FLUSH_S: Final = 30.0
MAX_WAITING: Final = 100_000

app = new_app()
T = TypeVar("T")


class Arrived(NamedTuple):
    """A slate, and when it could be read, in seconds of the monotonic clock."""

    slate: Slate
    at_s: float


class Tick(NamedTuple):
    """One round of a run: what arrived, how shoppers took it, and what was sent at ``sent_s``."""

    slates: list[Arrived]
    reactions: Reactions
    batch: Batch
    sent_s: float


class Sender:
    """Produces records with their own timestamps; a record that was refused raises at the next call."""

    def __init__(self, producer_conf: Mapping[str, Any]) -> None:
        from confluent_kafka import Producer

        self._refused: list[str] = []
        self._producer = Producer({**producer_conf, "on_delivery": self._delivered, "log_level": 0})

    def send(
        self,
        topics: Iterable[str],
        keys: Iterable[bytes],
        values: Iterable[bytes | None],
        times_ms: Iterable[int],
    ) -> None:
        """Hand records over, in order; waits while the producer's buffer is full."""
        produce = self._producer.produce
        for topic, key, value, time_ms in zip(topics, keys, values, times_ms, strict=True):
            try:
                produce(topic, value, key, timestamp=time_ms)
            except BufferError:
                self._make_room()
                produce(topic, value, key, timestamp=time_ms)
        self._producer.poll(0)
        self._raise_if_refused()

    def flush(self) -> None:
        """Wait until everything handed over is on the broker."""
        left = self._producer.flush(FLUSH_S)
        self._raise_if_refused()
        if left:
            raise BrokerRefusedError(
                f"{left} records were not taken within {FLUSH_S:g} s.",
                fix="Check that the broker is up and has room, then run it again.",
            )

    def _make_room(self) -> None:
        while len(self._producer) >= 50_000:
            self._producer.poll(0.1)
            self._raise_if_refused()

    def _delivered(self, error: Any, message: Any) -> None:
        if error is not None and len(self._refused) < 10:
            self._refused.append(f"{message.topic()}: {error.str()}")

    def _raise_if_refused(self) -> None:
        if self._refused:
            raise BrokerRefusedError(
                f"The broker refused records: {self._refused[0]}.",
                fix="Create the topics with `rillet topics create`, or see whether the broker is up.",
            )


class Tail(Generic[T]):
    """Reads what is published on topics from now on, in a thread, so that each record is timed at arrival.

    Holds at most ``MAX_WAITING`` records that nobody took; older ones are dropped.
    """

    def __init__(
        self,
        consumer_conf: Mapping[str, Any],
        topics: Sequence[str],
        decode: Callable[[str, bytes, float], T],
    ) -> None:
        from confluent_kafka import OFFSET_END, Consumer, TopicPartition

        self._consumer = Consumer({**consumer_conf, "fetch.wait.max.ms": 10, "log_level": 0})
        self._decode = decode
        ends = []
        for topic in topics:
            partitions = self._consumer.list_topics(topic, timeout=30).topics[topic].partitions
            if not partitions:
                self._consumer.close()
                raise BrokerRefusedError(
                    f"There is no topic {topic} to read from.",
                    fix="Create the topics with `rillet topics create`.",
                )
            ends += [TopicPartition(topic, partition, OFFSET_END) for partition in partitions]
        self._consumer.assign(ends)
        self._arrived: deque[T] = deque(maxlen=MAX_WAITING)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._read, name=f"read {topics[0]}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(timeout=10)
        self._consumer.close()

    def take(self) -> list[T]:
        """What arrived since the last call, in order."""
        return [self._arrived.popleft() for _ in range(len(self._arrived))]

    def _read(self) -> None:
        while not self._stopping.is_set():
            messages = self._consumer.consume(1_000, 0.05)
            at_s = time.monotonic()
            for message in messages:
                if not message.error() and message.value() is not None:
                    self._arrived.append(self._decode(message.topic(), message.value(), at_s))


def slate_tail(consumer_conf: Mapping[str, Any]) -> Tail[Arrived]:
    """The slates of all users."""
    decode = msgspec.json.Decoder(Slate).decode
    return Tail(consumer_conf, [SLATES], lambda _, value, at_s: Arrived(decode(value), at_s))


def publish_catalogue(shop: Shop, sender: Sender, now_ms: int) -> dict[str, str]:
    """Send every item and promotion; the titles by item id."""
    encode = msgspec.json.encode
    titles: dict[str, str] = {}
    topics, keys, values = [], [], []
    for entry in shop.catalogue():
        if isinstance(entry, Item):
            titles[entry.item_id] = entry.title or entry.item_id
        topics.append(ITEMS if isinstance(entry, Item) else PROMOTIONS)
        keys.append((entry.item_id if isinstance(entry, Item) else entry.promotion_id).encode())
        values.append(encode(entry))
    sender.send(topics, keys, values, [now_ms] * len(keys))
    sender.flush()
    return titles


def drive(
    shop: Shop,
    sender: Sender,
    take_slates: Callable[[], list[Arrived]],
    *,
    seconds: float | None = None,
    count: int | None = None,
    fast: bool = False,
    speed: Callable[[], float] = lambda: 1.0,
) -> Iterator[Tick]:
    """Run the shop against the wall clock, a tick at a time, until one of the limits is reached.

    ``speed`` is how many of the shop's seconds go by in one of the wall clock's, asked anew each tick.
    As fast as possible, the shop's seconds go by as quickly as they can be made; stamps stay those of the
    wall clock."""
    began_s, began_ms = time.monotonic(), int(time.time() * 1000)
    last_s, n_sent = 0.0, 0
    while True:
        elapsed_s = time.monotonic() - began_s
        if (seconds is not None and elapsed_s >= seconds) or (count is not None and n_sent >= count):
            return
        slates = take_slates()
        reactions = shop.react([_as_read(each.slate) for each in slates])
        passed_s = FAST_TICK_S if fast else speed() * (elapsed_s - last_s)
        batch = shop.advance(shop.now_s + passed_s, began_ms + int(elapsed_s * 1000))
        last_s = elapsed_s
        if count is not None:
            batch = batch.first(count - n_sent)
        sent_s = time.monotonic()
        sender.send(batch.topics, batch.keys, batch.values, batch.time_ms)
        n_sent += batch.n
        yield Tick(slates, reactions, batch, sent_s)
        if not fast:
            time.sleep(max(0.0, TICK_S - (time.monotonic() - began_s - elapsed_s)))


def _as_read(slate: Slate) -> ReadSlate:
    return ReadSlate(slate.user_id, slate.slate_id, [item.item_id for item in slate.items])


def shop_settings(*, rate: float, shoppers: int, faults: FaultSettings, **others: Any) -> SimulateSettings:
    """Settings for a rate: gaps between acts as wide as the number of shoppers allows.

    Raises:
        InputError: the combination makes no sense; the message says which.
    """
    acts_per_s = rate / EVENTS_PER_ACT
    gap_s = min(MAX_GAP_S, BUSY_SHARE * shoppers / (acts_per_s * MEAN_GAP_OF_MEDIAN))
    try:
        return SimulateSettings(
            events_per_s=rate,
            n_shoppers=shoppers,
            gap_s=gap_s,
            slice_events=max(16, min(8_192, round(rate / SLICES_PER_S))),
            faults=faults,
            **others,
        )
    except ValueError as error:
        raise InputError(
            _first_line(error), fix="See `rillet simulate --help` for what is possible."
        ) from error


def fault_settings(share: float, single: Sequence[str]) -> FaultSettings:
    """Faults from ``--faults SHARE``, spread evenly over all kinds, overridden by ``--fault NAME=RATE``."""
    rates = dict.fromkeys(FAULTS, share / len(FAULTS))
    for each in single:
        name, _, rate = each.partition("=")
        try:
            rates[name.replace("-", "_")] = float(rate)
        except ValueError as error:
            raise InputError(
                f"--fault {each} is not NAME=RATE.", fix="For example --fault late=0.01."
            ) from error
    unknown = sorted(set(rates) - set(FAULTS))
    if unknown:
        raise InputError(f"There is no fault {unknown[0]!r}.", fix=f"Known are {', '.join(FAULTS)}.")
    try:
        return FaultSettings(**rates)
    except ValueError as error:
        raise InputError(_first_line(error), fix="Rates are shares between 0 and 1.") from error


def _first_line(error: ValueError) -> str:
    """The reason that pydantic gives, without its frame."""
    if not isinstance(error, ValidationError):
        return str(error)
    return "; ".join(each["msg"].removeprefix("Value error, ") for each in error.errors())


class Tally:
    """Counts of a run, for the progress line and the summary."""

    def __init__(self) -> None:
        self.began_s = time.monotonic()
        self.n_events = self.n_slates = self.n_impressions = self.n_clicks = 0
        self.by_topic: Counter[str] = Counter()
        self.by_fault: Counter[str] = Counter()

    def add(self, tick: Tick) -> None:
        """One round."""
        truth = tick.batch.truth
        self.n_events += tick.batch.n
        self.n_slates += len(tick.slates)
        self.n_impressions += tick.reactions.n_impressions
        self.n_clicks += tick.reactions.n_clicks
        self.by_topic.update(tick.batch.topics)
        self.by_fault.update(FAULTS[code - 1] for code in truth.fault[truth.fault > 0].tolist())

    def summary(self) -> dict[str, Any]:
        """What happened, for ``--json``."""
        seconds = time.monotonic() - self.began_s
        return {
            "simulation": True,
            "seconds": round(seconds, 3),
            "events": self.n_events,
            "events_per_s": round(self.n_events / seconds, 1),
            "by_topic": dict(sorted(self.by_topic.items())),
            "by_fault": dict(sorted(self.by_fault.items())),
            "slates_read": self.n_slates,
            "impressions": self.n_impressions,
            "clicks": self.n_clicks,
            "click_rate": round(self.n_clicks / self.n_impressions, 4) if self.n_impressions else None,
        }


@app.command(
    epilog=example(
        "rillet simulate --rate 500 --seconds 60",
        "rillet simulate --fast --count 1000000 --no-react --json",
        "rillet simulate --fault late=0.01 --fault broken_json=0.005    # or --faults 0.05 for some of each",
    )
)
def simulate(
    rate: Annotated[
        float, typer.Option(min=0.1, help="Mean events a second, reactions not counted.")
    ] = 500.0,
    fast: Annotated[bool, typer.Option("--fast", help="As fast as possible instead of at a rate.")] = False,
    seconds: Annotated[
        float | None, typer.Option(min=0.1, help="Stop after so long; by default at Ctrl-C.")
    ] = None,
    count: Annotated[int | None, typer.Option(min=1, help="Stop after so many events.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same shop and shoppers.")] = 7,
    shoppers: Annotated[int, typer.Option(min=10, help="Number of shoppers.")] = 5_000,
    items: Annotated[int, typer.Option(min=20, help="Number of items.")] = 2_000,
    day: Annotated[float, typer.Option(min=1.0, help="Length of the simulated day, seconds.")] = 600.0,
    faults: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of events with a data fault, some of each kind.")
    ] = 0.0,
    fault: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=RATE", help=f"Share with one fault: {', '.join(FAULTS)}."),
    ] = None,
    react: Annotated[
        bool, typer.Option("--react/--no-react", help="Let shoppers read and click their recommendations.")
    ] = True,
    as_json: Json = False,
    config: Config = None,
) -> None:
    """Send the events of a simulated shop: shoppers with hidden tastes browse, search and buy.

    Publishes the catalogue first, then events keyed by user, and follows recommendations.user so that
    shoppers react to what they are shown. Everything it sends is a simulation. The topics must exist."""
    import numpy as np

    from streams.broker import ping
    from streams.settings import load

    kafka = load(config).kafka
    settings = shop_settings(
        rate=rate,
        shoppers=shoppers,
        faults=fault_settings(faults, fault or ()),
        n_items=items,
        oracle_share=0.0,
        seed=seed,
        day_s=day,
    )
    if fast:
        settings = settings.model_copy(update={"slice_events": 8_192})
    ping(kafka.client_conf())
    sender = Sender(kafka.producer())
    shop = Shop(settings, np.random.default_rng(seed), int(time.time() * 1000))
    tally = Tally()
    with ExitStack() as stack:
        take = stack.enter_context(slate_tail(kafka.consumer())).take if react else _no_slates
        publish_catalogue(shop, sender, int(time.time() * 1000))
        show = stack.enter_context(_progress(seconds, count))
        try:
            for tick in drive(shop, sender, take, seconds=seconds, count=count, fast=fast):
                tally.add(tick)
                show(tally)
        except KeyboardInterrupt:
            note("stopping")
        sender.flush()
    _report(tally.summary(), as_json=as_json)


def _no_slates() -> list[Arrived]:
    return []


@contextmanager
def _progress(seconds: float | None, count: int | None) -> Iterator[Callable[[Tally], None]]:
    """A progress bar when someone watches; else nothing."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("simulation"), BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=count or seconds)

        def show(tally: Tally) -> None:
            elapsed_s = time.monotonic() - tally.began_s
            progress.update(
                task,
                completed=tally.n_events if count else elapsed_s,
                description=f"{tally.n_events:,} events, {tally.n_events / elapsed_s:,.0f}/s, "
                f"{tally.n_slates:,} slates read, {tally.n_clicks:,} clicks",
            )

        yield show


def _report(summary: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(summary)
        return
    print(
        f"simulation: {summary['events']:,} events in {summary['seconds']:.1f} s, "
        f"{summary['events_per_s']:,}/s"
    )
    for topic, n in summary["by_topic"].items():
        print(f"  {topic:<20} {n:>10,}")
    for name, n in summary["by_fault"].items():
        print(f"  fault {name:<14} {n:>10,}")
    if summary["impressions"]:
        print(
            f"  {summary['slates_read']:,} slates arrived, {summary['impressions']:,} read, "
            f"{summary['clicks']:,} clicked ({summary['click_rate']:.1%})"
        )

"""Values the sources of data of a log: masked on the way through it, and by learning anew from weaker sources."""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from models.absorb import SILENT
from models.evaluate.of_path import OfPath
from models.evaluate.prequential import Prequential
from models.evaluate.recommender import Recommender
from models.evaluate.result import differences
from models.learn.learning import Learned
from models.path import Path as PurePath
from models.rank.score import FixedWeights
from models.value.games import SOURCES, Game, fed
from models.value.report import report
from models.value.valuing import Valuing
from models.value.weaker import LATER, Marginal, Weaker, marginals
from models.value.withheld import WITHHELD
from schemas.events import AnyEvent
from schemas.value import ValueReport
from streams.errors import InputError
from streams.evaluation import Log, Progress, events_of, states_on_disk
from streams.settings import Settings
from streams.value_costs import Costs, Stages

_encode = msgspec.json.Encoder().encode
ALL = "all sources"


class Asked(NamedTuple):
    """What is to be learned anew; the sources are those of the log where none is named."""

    anew: bool = False
    """Without each source."""
    late_s: Sequence[tuple[str | None, float]] = ()
    """Sources, and by how many seconds they come late."""
    volume: Sequence[tuple[str | None, float]] = ()
    """Sources, and which share of their events is kept."""

    def weaker(self, present: Sequence[str]) -> list[Weaker]:
        """Of the sources that are in the log; each once."""
        found = [Weaker(source, "withheld") for source in present if self.anew]
        found += [
            Weaker(each, "late", at)
            for named, at in self.late_s
            for each in present
            if each in LATER and named in (None, each)
        ]
        found += [
            Weaker(each, "thinned", at)
            for named, at in self.volume
            for each in present
            if named in (None, each)
        ]
        return list(dict.fromkeys(found))


class Valuation(NamedTuple):
    """What was found over a log."""

    report: ValueReport
    marginals: list[Marginal]
    """What is lost where a source is weaker, learned anew; none where that was not asked for."""
    n_events: int


def valued(
    game: Game,
    log: Log,
    settings: Settings,
    progress: Progress,
    asked: Asked,
    *,
    from_share: float,
    batch: int,
) -> Valuation:
    """Follow the log; its first part ``from_share`` is learned and not counted.

    Raises:
        InputError: nothing learns to rank, or nothing of the log could be valued.
    """
    n_events, present = _counted(log, progress)
    path, weaker = PurePath(settings.path()), asked.weaker(present)
    stage = _Stage(fed(game, present), settings, path, n_events * from_share)
    with tempfile.TemporaryDirectory(prefix="rillet-value-") as folder:
        states = [states_on_disk(Path(folder) / str(i)) for i in range(1 + len(weaker))]
        recommenders: list[Recommender] = [
            OfPath(path, ALL, states[0], watch=stage.learned, laps=stage.stages.laps)
        ]
        for each, its_states in zip(weaker, states[1:], strict=True):
            recommenders.append(each.recommender(PurePath(settings.path()), its_states))
        follower = Prequential(recommenders, settings.interest.idle_s)
        for done in follower.run(stage.passing(events_of(log, progress)), batch):
            stage.done = done
    keep = follower.events.column("at") >= stage.begins
    names = [recommender.name for recommender in recommenders]
    lost = differences(names, follower.events, follower.found, keep, settings.value.k) if weaker else []
    return Valuation(stage.report(), marginals(weaker, lost), follower.n_events)


class _Stage:
    """Lets the valuing see what the scorers learn from, and counts from the event number ``begins`` on."""

    def __init__(self, game: Game, settings: Settings, path: PurePath, begins: float) -> None:
        if path.learning is None:
            raise InputError("Nothing learns to rank: learn.enabled is false.", fix="Set it to true.")
        self._k, self.begins, self.done = settings.value.k, begins, 0
        self._valuing = Valuing(
            game,
            settings.value,
            tuple(path.learning.scorer.sources),
            FixedWeights(settings.rank).weights_of(path.learning.names),
            settings.learn.rate,
        )
        self.stages = Stages()
        self._costs = Costs(path.knowledge, lambda: self.stages.seconds)
        self._counts = False
        self._first_ms = self._last_ms = 0

    def passing(self, events: Iterable[AnyEvent]) -> Iterator[AnyEvent]:
        """The events, noting the times of those that count."""
        for event in events:
            if not self._counts and self.done >= self.begins:
                self._counts = True
                self._first_ms = event.time_ms
                self._costs.taken()
            self._last_ms = event.time_ms
            if self._counts:
                self._costs.tally.take([event], len(event.user_id.encode()) + len(_encode(event)))
                if not isinstance(event, SILENT):
                    self._costs.tally.serve(event)
            yield event

    def learned(self, learned: Learned) -> None:
        """Value these lists."""
        self._valuing.add(learned.joined.groups)
        if self.done < self.begins:
            self._valuing.taken()

    def report(self) -> ValueReport:
        """Of what counts."""
        sums = self._valuing.taken()
        if not sums.n:
            raise InputError(
                "No list of this log could be valued: nobody wanted what had been offered.",
                fix="Take a longer log, a smaller --from, or value.share=1.",
            )
        game, end_ms = self._valuing.game, max(self._last_ms, self._first_ms) + 1
        costs = self._costs.taken() if game.name == SOURCES.name else []
        return report(game, sums, self._k, self._first_ms, end_ms, costs=costs)


def _counted(log: Log, progress: Progress) -> tuple[int, list[str]]:
    """Events of the log, and which sources of data are among them."""
    n, absent = 0, dict(WITHHELD)
    for event in events_of(log, progress, "counting"):
        n += 1
        for source in [source for source, take in absent.items() if take(event) != event]:
            del absent[source]
    return n, [source for source in WITHHELD if source not in absent]

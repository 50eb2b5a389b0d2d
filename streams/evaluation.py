"""Runs an evaluation over logs: reads them, builds the recommenders, follows, and puts the result together."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from rocksdict import AccessType, Options, Rdict

from models.evaluate import sessions
from models.evaluate.baselines import BASELINES
from models.evaluate.of_path import OfPath
from models.evaluate.prequential import Prequential
from models.evaluate.recommender import Recommender
from models.evaluate.result import Evaluation, differences, scores
from models.path import Path as PurePath
from schemas.events import AnyEvent
from streams.errors import InputError
from streams.log import read_log
from streams.settings import Settings, load_with_origins, value_of, variable

if TYPE_CHECKING:
    from models.embed.in_place import InPlace

SETTLED_SHARE: Final = 0.75
"""Of the training sessions, that the embedding model learns before scorers hear it."""

REPEATS: Final = {
    "rank.filter_viewed": "false",
    "rank.filter_bought": "false",
    "rank.mmr_lambda": "1",
}
"""The literature, and so the session protocol, keeps repeated views and orders by score alone."""

Progress = Callable[[str, int, int], None]
"""Told what is read, how many bytes of it, and of how many."""


class Log(NamedTuple):
    """A file and how to read it; None guesses the mapping."""

    path: str
    mapping: str | None


class Plan(NamedTuple):
    """What is evaluated, and how."""

    settings: Mapping[str, Settings]
    """By the name of the recommender; the first is compared with all others."""
    changed: Mapping[str, object]
    """Settings of the first that are no defaults."""
    ks: Sequence[int]
    baselines: bool
    batch: int
    update_every_s: float
    from_share: float


def settings_of(config: Path | None, overrides: Sequence[str]) -> tuple[Settings, dict[str, object]]:
    """The settings in force with ``name=value`` overrides, and those of them that are no defaults."""
    environ = dict(os.environ)
    for each in overrides:
        name, equals, value = each.partition("=")
        if not equals:
            raise InputError(
                f"--set {each} has no value.", fix="Write --set name=value, as in rank.mmr_lambda=1."
            )
        environ[variable(name.strip())] = value.strip()
    in_force = load_with_origins(config, environ)
    values = {name: value_of(in_force.settings, name) for name in in_force.origins}
    return in_force.settings, {
        name: value for name, value in values.items() if name.split(".")[0] in _OF_THE_PATH
    }


_OF_THE_PATH: Final = ("ingest", "clean", "interest", "knowledge", "retrieve", "rank", "learn", "publish")


def prequential(log: Log, plan: Plan, progress: Progress) -> Evaluation:
    """Test-then-learn over one log."""
    with tempfile.TemporaryDirectory(prefix="rillet-evaluate-") as folder:
        follower = Prequential(_recommenders(plan, Path(folder), progress), _idle_s(plan))
        started = time.monotonic()
        for _ in follower.run(events_of(log, progress), plan.batch):
            pass
        return _result("prequential", log.path, follower, plan, follower.n_events, started)


def by_sessions(train: Log, test: Log, plan: Plan, progress: Progress, *, online: bool) -> Evaluation:
    """The protocol of the session literature."""
    with tempfile.TemporaryDirectory(prefix="rillet-evaluate-") as folder:
        recommenders = _recommenders(plan, Path(folder), progress, collects=True)
        follower = Prequential(recommenders, _idle_s(plan), learn=False)
        started = time.monotonic()
        settle_after = _settle_after(train, recommenders, progress)
        n_trained = max(sessions.train(follower, events_of(train, progress), settle_after), default=0)
        for pupil in _pupils(recommenders):
            pupil.collects = False
        for _ in sessions.test(follower, events_of(test, progress), online=online):
            pass
        protocol = "sessions, learning on after each" if online else "sessions"
        n_events = n_trained + follower.n_events
        return _result(
            protocol,
            f"{train.path} → {test.path}",
            follower,
            plan._replace(from_share=0.0),
            n_events,
            started,
        )


def _recommenders(
    plan: Plan, folder: Path, progress: Progress, *, collects: bool = False
) -> list[Recommender]:
    made: list[Recommender] = []
    for number, (name, settings) in enumerate(plan.settings.items()):
        path = PurePath(settings.path())
        if settings.embed.enabled:
            teach_in_place(path, settings, name, progress, collects=collects)
        made.append(OfPath(path, name, states_on_disk(folder / str(number)), plan.update_every_s))
    if plan.baselines:
        made += [baseline(max(plan.ks), _idle_s(plan)) for baseline in BASELINES]
    return made


def teach_in_place(
    path: PurePath, settings: Settings, name: str, progress: Progress, *, collects: bool
) -> None:
    """Let an embedding model learn what the path learns, and serve it."""
    source = path.knowledge.embedding
    if source is None:
        return
    try:
        import torch

        from models.embed.in_place import InPlace
        from models.embed.learner import Learner
    except ModuleNotFoundError as error:
        raise InputError(
            f"embed.enabled needs a package that is not installed: {error.name}.",
            fix="Install it: pip install 'rillet[embed]'.",
        ) from error
    embed = settings.embed
    torch.set_num_threads(embed.threads)
    learner = Learner(embed, settings.knowledge.max_items, path.knowledge.attributes, settings.interest)
    source.pupil = InPlace(
        learner,
        embed,
        lambda epoch: progress(f"embedding of {name}", epoch.number, embed.epochs),
        collects=collects,
    )


def _pupils(recommenders: Sequence[Recommender]) -> Iterator["InPlace"]:
    for recommender in recommenders:
        source = recommender.path.knowledge.embedding if isinstance(recommender, OfPath) else None
        if source and source.pupil:
            yield cast("InPlace", source.pupil)


def _settle_after(train: Log, recommenders: Sequence[Recommender], progress: Progress) -> int | None:
    """Events after which the embedding model is first learned, so that scorers learn what it says of later sessions."""
    if not any(_pupils(recommenders)):
        return None
    return int(SETTLED_SHARE * sum(1 for _ in events_of(train, progress, "counting")))


def states_on_disk(folder: Path) -> MutableMapping[bytes, bytes]:
    """On disk, so that a log of any size is evaluated in bounded memory."""
    states: Any = Rdict(str(folder), Options(raw_mode=True), access_type=AccessType.read_write())
    return states  # type: ignore[no-any-return]


def _idle_s(plan: Plan) -> float:
    return next(iter(plan.settings.values())).interest.idle_s


def events_of(log: Log, progress: Progress, doing: str = "") -> Iterator[AnyEvent]:
    """The events of a log; its bar is called by what is being done with it."""
    name = f"{doing} {Path(log.path).name}".lstrip()
    for each in read_log(log.path, log.mapping, lambda done, of: progress(name, done, of)):
        yield each.event


def _result(
    protocol: str, log: str, follower: Prequential, plan: Plan, n_events: int, started: float
) -> Evaluation:
    seconds = time.monotonic() - started
    events, ks = follower.events, list(plan.ks)
    keep = events.column("at") >= plan.from_share * follower.n_events
    names = [recommender.name for recommender in follower.recommenders]
    any_left = bool(keep.any())
    return Evaluation(
        protocol=protocol,
        log=log,
        settings=dict(plan.changed),
        n_events=n_events,
        n_trials=int(keep.sum()),
        n_users=len(set(events.column("user")[keep].tolist())),
        n_items=len(follower.items),
        from_share=plan.from_share,
        ks=ks,
        scores=[
            scores(name, events, found, keep, len(follower.items), ks)
            for name, found in zip(names, follower.found, strict=True)
            if any_left
        ],
        differences=differences(names, events, follower.found, keep, max(ks)) if any_left else [],
        events_per_s=n_events / max(seconds, 1e-9),
        notes=list(_notes(follower, plan)),
    )


def _notes(follower: Prequential, plan: Plan) -> Iterator[str]:
    repeats = follower.events.is_repeat
    first, settings = next(iter(plan.settings.items()))
    if any(repeats) and settings.rank.filter_viewed:
        yield (
            f"{first} leaves out what was viewed in the session, and so misses the {sum(repeats) / len(repeats):.0%}"
            " of trials that are repeats; the baselines do not: --repeats lets it name them too"
        )
    for name, each in plan.settings.items():
        if each.embed.enabled and each.embed.given_dim:
            yield f"{name}: embed.given_dim brings nothing here, as a log tells neither vectors nor titles of items"
    for recommender in follower.recommenders:
        if isinstance(recommender, OfPath) and recommender.n_refused:
            yield f"{recommender.name}: {recommender.n_refused:,} events were refused by ingest and caused nothing"

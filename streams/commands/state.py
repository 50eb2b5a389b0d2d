"""``rillet state``: what is remembered of users, read from the changelog, without a worker."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.dead_letter import printable
from streams.commands.options import Config, Json, example, new_app, note, print_json, print_table
from streams.errors import FOUND, InputError

if TYPE_CHECKING:
    from models.interest.settings import InterestSettings
    from models.interest.state import Affinity, State

app = new_app("Show what is remembered of users, read from the changelog topic; no worker is needed.")

FAMILIES = ("categories", "brands", "bands", "terms", "stores")
DIGITS = 4


@app.callback()
def _group() -> None: ...


@app.command(epilog=example("rillet state show u17", "rillet state show u17 --json | jq .bought"))
def show(
    user: Annotated[str, typer.Argument(help="The user id.")],
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Print one user's interest state: affinities decayed to now, what was seen, bought, searched. Exit code 1
    when there is none."""
    from streams.interest_states import Changelog
    from streams.settings import load

    settings = load(config)
    with Changelog(settings) as changelog:
        stored = changelog.find(user)
    if stored is None:
        note(f"nothing is remembered of {user!r}: no event of theirs was accepted, or it was erased")
        raise typer.Exit(FOUND)
    told = _told(_decoded(stored), settings.interest, time.time_ns() // 1_000_000)
    if as_json:
        print_json({"user_id": user, **told})
    else:
        _print(user, told)


@app.command(
    epilog=example("rillet state export states.jsonl", "rillet state export - | jq -r .user_id | sort")
)
def export(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="Where to write, - for standard output.")],
    config: Config = None,
) -> None:
    """Write the states of all users as JSON lines. They are gathered on disk in TMPDIR, not in memory."""
    import msgspec

    from streams.interest_states import Changelog, newest
    from streams.settings import load

    settings = load(config)
    now_ms = time.time_ns() // 1_000_000
    n_users = 0
    with (
        Changelog(settings) as changelog,
        _progress(changelog.total) as on_done,
        newest(changelog, on_done) as states,
        _opened(file) as out,
    ):
        for user, stored in states:
            told = _told(_decoded(stored), settings.interest, now_ms)
            line = msgspec.json.encode({"user_id": user.decode(errors="replace"), **told})
            out.write(line + b"\n")
            n_users += 1
    note(f"{n_users} users")


@contextmanager
def _progress(total: int) -> Iterator[Any]:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("changelog", total=total)
        yield lambda done: progress.update(task, completed=done)


@contextmanager
def _opened(file: str) -> Iterator[IO[bytes]]:
    if file == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    else:
        with Path(file).open("wb") as out:
            yield out


def _decoded(stored: bytes) -> "State":
    from models.interest.codec import InterestError, decode

    try:
        return decode(stored)
    except InterestError as error:
        raise InputError(
            f"A state cannot be read: {error}.", fix="Use the release of the workers that wrote it."
        ) from error


def _told(state: "State", settings: "InterestSettings", now_ms: int) -> dict[str, Any]:
    from models.interest.state import interactions, traits

    return {
        "n_events": state.n_events,
        "n_impressions": state.n_impressions,
        "latest": _iso(state.latest_ms),
        "traits": {name: _number(value) for name, value in traits(state)._asdict().items()},
        "recents": [
            {"item": each.item, "kind": each.kind.name.lower(), "time": _iso(each.time_ms)}
            | ({"category": each.category} if each.category is not None else {})
            for each in reversed(list(interactions(state.recents)))
        ],
        "half_lives_s": settings.half_lives_s,
        **{family: _affinities(getattr(state, family), settings, now_ms) for family in FAMILIES},
        "bought": _moments(state.bought),
        "dismissed": _moments(state.dismissed),
        "searches": [{"query": each.text, "time": _iso(each.time_ms)} for each in reversed(state.searches)],
        "platform": state.platform and state.platform.name,
        "vector_version": state.vector_version,
        "stamps": state.stamps,
    }


def _affinities(affinity: "Affinity", settings: "InterestSettings", now_ms: int) -> dict[str, list[float]]:
    """By key, its weight at each half-life; the strongest at the longest first, ties by key."""
    from models.interest.state import decayed

    weights = dict(zip(affinity.keys, decayed(affinity, now_ms, settings).tolist(), strict=True))
    ordered = sorted(weights, key=lambda key: (-weights[key][-1], key))
    return {key: [_rounded(weight) for weight in weights[key]] for key in ordered}


def _moments(times: dict[str, int]) -> dict[str, str]:
    newest_first = sorted(times.items(), key=lambda each: (-each[1], each[0]))
    return {item: _iso(time_ms) for item, time_ms in newest_first}


def _print(user: str, told: dict[str, Any]) -> None:
    head = {
        "user": user,
        **{name: told[name] for name in ("n_events", "n_impressions", "latest", "platform")},
    }
    head |= told["traits"]
    _table(("what", "is"), [(name, "-" if value is None else value) for name, value in head.items()])
    _table(
        ("recently", "kind", "item", "category"),
        [(each["time"], each["kind"], each["item"], each.get("category", "-")) for each in told["recents"]],
    )
    half_lives = [f"{each:g} s" for each in told["half_lives_s"]]
    for family in FAMILIES:
        _table((family, *half_lives), [(key, *weights) for key, weights in told[family].items()])
    _table(("bought", "at"), list(told["bought"].items()))
    _table(("dismissed", "at"), list(told["dismissed"].items()))
    _table(("searched", "at"), [(each["query"], each["time"]) for each in told["searches"]])
    _table(("folded up to", "offset"), list(told["stamps"].items()))


def _table(columns: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    """Nothing where there is nothing to tell."""
    if rows:
        print_table(columns, [tuple(printable(str(cell)) for cell in row) for row in rows])
        print()


def _number(value: float) -> float | None:
    """None for what is not known yet."""
    return None if value != value else _rounded(value)


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _iso(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")

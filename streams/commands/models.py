"""``rillet models``: snapshots of the embedding model, as ``models.versions`` tells of them; no worker is needed."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.options import Config, Json, example, new_app, note, print_json, print_table

if TYPE_CHECKING:
    from schemas.snapshots import Announced, Manifest, Promoted
    from streams.settings import Settings
    from streams.snapshots.store import SnapshotStore
    from streams.snapshots.versions import Versions

app = new_app(
    "List the snapshots of the embedding model, and choose the one that serves. The scorers that order "
    "candidates are another matter: `rillet model`."
)

Store = Annotated[
    str | None,
    typer.Option("--store", metavar="URL", help="Where the snapshots lie, instead of snapshots.url."),
]
Pin = Annotated[
    bool,
    typer.Option("--pin/--no-pin", help="Let the trainer promote nothing until a person promotes again."),
]
Reason = Annotated[str, typer.Option("--reason", help="Why, in words, for the audit log.")]


@app.callback()
def _group() -> None: ...


@app.command("list", epilog=example("rillet models list", "rillet models list --json | jq '.[0].version'"))
def list_(config: Config = None, as_json: Json = False) -> None:
    """Print the versions that were announced, newest first, with their metrics, and which one serves."""
    from streams.settings import load
    from streams.snapshots.decide import versions

    found = versions(load(config))
    announced = found.newest_first()
    if as_json:
        print_json([_told(found, each) for each in announced])
        return
    if not announced:
        note("no version was announced yet; the trainer announces what it writes")
        return
    names = sorted({name for each in announced for name in each.metrics})
    print_table(("version", "", "written", "MB", *names), [_row(found, each, names) for each in announced])


@app.command(epilog=example("rillet models show", "rillet models show 20261122T235001123-9f3a2c --json"))
def show(
    version: Annotated[str, typer.Argument(help="A version; by default the one that serves.")] = "",
    store: Store = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Print the manifest of a version, and who promoted it, if it serves."""
    import msgspec

    from streams.settings import load
    from streams.snapshots.decide import announced, versions

    settings = load(config)
    found = versions(settings)
    told = announced(found, version)
    manifest = _store(settings, store).manifest(told.version, told.checksum)
    promoted = _serving(found, told)
    if as_json:
        serves = promoted and msgspec.to_builtins(promoted)
        about = {"url": told.url, "checksum": told.checksum, "serves": serves}
        print_json({**msgspec.to_builtins(manifest), **about})
        return
    print_table(("what", "value"), _rows(manifest, told, promoted))
    print()
    arrays = manifest.parts["model"].arrays.items()
    print_table(("array", "dtype", "shape"), [(name, each.dtype, each.shape) for name, each in arrays])


@app.command(
    epilog=example(
        "rillet models promote 20261122T235001123-9f3a2c",
        "rillet models promote 20261122T235001123-9f3a2c --reason 'better in the test of Monday'",
    )
)
def promote(
    version: Annotated[str, typer.Argument(help="A version; `rillet models list` shows them.")],
    reason: Reason = "by hand",
    pin: Pin = False,
    store: Store = None,
    config: Config = None,
) -> None:
    """Let a version serve, in every worker, after all of its files were read and found to be whole."""
    from streams.settings import load
    from streams.snapshots.decide import ACTOR, versions

    settings = load(config)
    found = versions(settings)
    promoted = found.promotion(version, actor=ACTOR, detail=reason, time_ms=_now_ms(), pinned=pin)
    if found.promoted and (found.promoted.version, found.promoted.pinned) == (version, pin):
        note(f"{version} serves already")
        return
    _decide(settings, promoted, "promotion", store)


@app.command(
    epilog=example("rillet models rollback", "rillet models rollback --reason 'shows winter coats in July'")
)
def rollback(reason: Reason = "by hand", pin: Pin = True, store: Store = None, config: Config = None) -> None:
    """Let the version promoted before the one that serves do so again, in every worker."""
    from streams.settings import load
    from streams.snapshots.decide import ACTOR, versions

    settings = load(config)
    promoted = versions(settings).rollback(actor=ACTOR, detail=reason, time_ms=_now_ms(), pinned=pin)
    _decide(settings, promoted, "rollback", store)


def _decide(settings: "Settings", promoted: "Promoted", action: str, store: str | None) -> None:
    from streams.snapshots.decide import decide

    _store(settings, store).read(promoted.version, promoted.checksum)
    decide(settings, promoted, action)
    note(f"{promoted.version} serves from now on; running workers load it at once")
    if promoted.pinned:
        note(f"it is pinned: `rillet models promote {promoted.version}` lets the trainer promote again")


def _store(settings: "Settings", url: str | None) -> "SnapshotStore":
    from streams.snapshots.store import SnapshotStore

    snapshots = settings.snapshots
    return SnapshotStore(snapshots.model_copy(update={"url": url}) if url else snapshots)


def _serving(found: "Versions", each: "Announced") -> "Promoted | None":
    return found.promoted if found.promoted and found.promoted.version == each.version else None


def _told(found: "Versions", each: "Announced") -> dict[str, Any]:
    import msgspec

    told: dict[str, Any] = msgspec.to_builtins(each)
    return told | {"serves": _serving(found, each) is not None}


def _rows(
    manifest: "Manifest", told: "Announced", promoted: "Promoted | None"
) -> Iterator[tuple[str, object]]:
    yield "version", manifest.version
    yield "written", _time(manifest.created_ms)
    yield "serves", _why(promoted) if promoted else "no"
    yield "lies in", told.url
    yield "goes on from", manifest.parent or "nothing"
    yield "features", manifest.features
    yield "settings", manifest.settings_digest[:12]
    yield from ((f"metric {name}", f"{value:g}") for name, value in sorted(manifest.metrics.items()))
    yield from ((f"read to, {each.topic}-{each.partition}", f"{each.offset:,}") for each in manifest.offsets)
    yield from ((f"ids of {name}", f"{n:,}") for name, n in manifest.parts["model"].n_names.items())
    yield from ((f"file {name}", f"{file.size_bytes:,} bytes") for name, file in manifest.files.items())


def _why(promoted: "Promoted") -> str:
    pinned = "pinned " if promoted.pinned else ""
    return f"{pinned}since {_time(promoted.time_ms)}, {promoted.actor}: {promoted.detail}"


def _row(found: "Versions", each: "Announced", names: list[str]) -> tuple[str, ...]:
    figures = (f"{each.metrics[name]:g}" if name in each.metrics else "-" for name in names)
    serves = ("pinned" if found.is_pinned else "serves") if _serving(found, each) else ""
    return each.version, serves, _time(each.created_ms), f"{each.size_bytes / 1e6:.1f}", *figures


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _time(time_ms: int) -> str:
    return f"{datetime.fromtimestamp(time_ms / 1_000, UTC):%Y-%m-%d %H:%M:%S}Z"

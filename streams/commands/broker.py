"""``rillet broker``: a broker for trying out."""

import signal
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from typing import Annotated

import typer

from streams.commands.options import Json, example, new_app, note, print_json
from streams.errors import InputError

LOOK_S = 0.5
"""A signal that another thread takes does not wake the main one."""

app = new_app("Start a broker for trying out: embedded in this process, or Apache Kafka. Not for production.")


@app.callback()
def _group() -> None: ...


@app.command(
    epilog=example(
        "rillet broker start                        # embedded: nothing to install, nothing kept",
        "rillet broker start --kafka --port 9092    # Apache Kafka: needs Java 17 and, once, Maven",
        "rillet broker start --kafka --data ./kafka --json",
    )
)
def start(
    kafka: Annotated[
        bool, typer.Option("--kafka/--embedded", help="Apache Kafka of its own, or embedded in this process.")
    ] = False,
    port: Annotated[
        int | None, typer.Option(min=1, max=65_535, help="Port of Apache Kafka; a free one by default.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep Apache Kafka's data here; by default they go when it stops."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Start a broker, print its address and run until Ctrl-C."""
    from streams import broker

    if not kafka and (port or data):
        raise InputError(
            "The embedded broker picks its own port and keeps nothing, so it takes no --port and no --data.",
            fix="Add --kafka, or leave them out.",
        )
    stopped = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with ExitStack() as stack:
        if kafka:
            address = stack.enter_context(broker.kafka(port=port, data_dir=data)).bootstrap_servers
        else:
            address = stack.enter_context(broker.embedded())
        _announce("kafka" if kafka else "embedded", address, as_json=as_json)
        while not stopped.wait(LOOK_S):
            pass
        note("stopping")


def _announce(kind: str, address: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"broker": kind, "bootstrap_servers": address})
        return
    print(address, flush=True)
    note(f"A broker ({kind}) runs at this address until Ctrl-C. In another terminal:")
    note(f"  export RILLET_BOOTSTRAP_SERVERS={address}")

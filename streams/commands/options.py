"""Options and output that commands share."""

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

Config = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", help="Settings file, instead of RILLET_CONFIG or ./rillet.toml."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def new_app(help_text: str = "") -> typer.Typer:
    """An app in which errors and help are plain text."""
    return typer.Typer(
        help=help_text, rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False
    )


def example(*lines: str) -> str:
    """The epilog of a command's help. ``\\b`` keeps the lines apart."""
    title = "Example:" if len(lines) == 1 else "Examples:"
    return "\n".join(["\b", title, *(f"  {line}" for line in lines)])


def print_json(data: Any) -> None:
    """One JSON value, indented."""
    print(json.dumps(data, indent=2, ensure_ascii=False), flush=True)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Columns aligned by spaces, as wide as they need to be: for eyes, and for grep."""
    cells = [list(columns), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    for line in cells:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print("  ".join(padded).rstrip())


def note(text: str) -> None:
    """A remark that does not belong to the output."""
    print(text, file=sys.stderr, flush=True)

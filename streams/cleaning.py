"""Reads the recipe that ``clean.recipe`` names, and the lists that it names in turn."""

import csv
from pathlib import Path
from typing import Any, Final

import yaml

from models.clean.recipe import Cap, Recipe, RecipeError, recipe
from streams.errors import SettingsError

MAX_LISTED: Final = 1_000_000
"""Rows of a list."""


def declared(path: str | None, max_events: int) -> Recipe:
    """The recipe, one without steps where none is named. ``max_events`` is what a user's state remembers.

    Raises:
        SettingsError: it cannot be read or followed.
    """
    if path is None:
        return Recipe()
    try:
        document = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        found = recipe(_with_lists(document, Path(path).parent))
        _check_cap(found, max_events)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, csv.Error, RecipeError, RecursionError) as error:
        raise SettingsError(
            f"The recipe {path}, which clean.recipe names, cannot be followed: {error}.",
            fix="Mend it (`rillet clean check`), or leave the setting out; docs/cleaning.md shows one.",
        ) from error
    return found


def _check_cap(found: Recipe, max_events: int) -> None:
    cap = next((step for step in found.steps if isinstance(step, Cap)), None)
    if cap and cap.events >= max_events:
        raise RecipeError(
            f"{cap.label}: a state remembers {max_events} events, so that {cap.events} cannot be told apart; "
            "raise interest.max_events above it"
        )


def _with_lists(document: Any, folder: Path) -> Any:
    """Steps that name a ``file`` of two columns have its rows as ``values``."""
    steps = document.get("steps") if isinstance(document, dict) else None
    if not isinstance(steps, list):
        return document
    return {**document, "steps": [_with_list(step, folder) for step in steps]}


def _with_list(step: Any, folder: Path) -> Any:
    if not isinstance(step, dict) or "file" not in step:
        return step
    rest = {name: value for name, value in step.items() if name != "file"}
    return {**rest, "values": {**_rows(folder / str(step["file"])), **(rest.get("values") or {})}}


def _rows(path: Path) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    with path.open(encoding="utf-8-sig", newline="") as lines:
        for number, row in enumerate(csv.reader(lines), 1):
            if len(row) != 2 or not row[0]:
                raise RecipeError(
                    f"{path}, line {number}: two columns are expected, the name and what it becomes"
                )
            if number > MAX_LISTED:
                raise RecipeError(f"{path}: more than {MAX_LISTED:,} rows")
            found[row[0]] = row[1] or None
    return found

"""Proposes a mapping for a log that nobody described, from the names of its columns and its first values."""

from typing import Any

from streams.errors import InputError
from streams.log.clock import clock
from streams.log.mapping import LogMapping
from streams.log.roles import column_for, is_running_number, kind_values, plain, time_format
from streams.log.sniff import Sample
from streams.toml_text import toml_key, toml_value

Tree = dict[str, Any]


def propose(sample: Sample, path: str) -> LogMapping:
    """The mapping that fits best.

    Raises:
        InputError: no column looks like a user, or none like an item; names the columns.
    """
    if not sample.file.header:
        sample = _with_names(sample)
    columns = _columns(sample)
    if "user" not in columns or not {"item", "query"} & set(columns):
        what = "a user" if "user" not in columns else "an item"
        raise InputError(
            f"No preset fits {path}, and no column looks like {what}; it has {', '.join(sample.columns)[:500]}.",
            fix="Write a mapping (docs/mapping.md) and name it with --mapping FILE.",
        )
    time, kind = _time(sample), _kind(sample, columns)
    return LogMapping.model_validate(
        {
            "file": _file(sample, columns, time),
            "columns": columns,
            "time": time,
            "kind": kind,
            "id": {"column": event_id} if (event_id := column_for("event_id", sample.columns)) else {},
        }
    )


def to_toml(mapping: LogMapping) -> str:
    """The mapping as a TOML file, without what is as by default."""
    tree = mapping.model_dump(exclude_defaults=True)
    top = [f"{key} = {toml_value(value)}" for key, value in tree.items() if not isinstance(value, dict)]
    parts = [
        f"[{name}]\n" + "\n".join(f"{toml_key(key)} = {toml_value(value)}" for key, value in part.items())
        for name, part in tree.items()
        if isinstance(part, dict)
    ]
    return "\n\n".join([*top, *parts]) + "\n"


def _columns(sample: Sample) -> Tree:
    roles = (
        "user", "item", "session", "query", "category", "brand", "price", "quantity", "platform", "store_id",
    )  # fmt: skip
    found = {role: column for role in roles if (column := column_for(role, sample.columns))}
    if "user" not in found and "session" in found:
        found["user"] = found.pop("session")
    if "price" not in found and (total := column_for("total", sample.columns)):
        return {**found, "price": total, "price_is_total": True}
    return found


def _time(sample: Sample) -> Tree:
    """The column that is called like a time and looks like one; else the first that looks like one."""
    named = column_for("time", sample.columns)
    for column in (named, *sample.columns):
        if column and (form := time_format(sample.values(column))):
            return {"column": column, "format": form}
    running = [each for each in sample.columns if plain(each) in {"order", "number", "position", "row"}]
    if running and is_running_number(sample.values(running[0])):
        return {"column": running[0], "format": "number"}
    return {}


def _kind(sample: Sample, columns: Tree) -> Tree:
    """Also adds to ``columns`` what only some kinds have."""
    order = column_for("order", sample.columns)
    column = column_for("kind", sample.columns)
    values = kind_values(sample.values(column)) if column else {}
    if "query" not in columns:
        values = {value: kind for value, kind in values.items() if kind != "search"}
    if values:
        if order and "purchase" in values.values():
            columns["order"] = order
        return {"column": column, "values": values}
    if order:
        columns["order"] = order
        return {"constant": "purchase"}
    if rating := column_for("rating", sample.columns):
        return _rating(sample, rating, columns)
    return {"constant": "view" if "item" in columns else "search"}


def _rating(sample: Sample, column: str, columns: Tree) -> Tree:
    given = [float(value) for value in sample.values(column)]
    columns |= {"rating": column, "rating_worst": min(given), "rating_best": max(given)}
    return {"constant": "rating"}


def _file(sample: Sample, columns: Tree, time: Tree) -> Tree:
    ids = (columns[role] for role in ("user", "item") if role in columns)
    whole = tuple(column for column in ids if _are_fractions(sample.values(column)))
    tree = sample.file.model_dump(exclude_defaults=True) | {"in_order": _in_order(sample, time)}
    return tree | ({"whole_numbers": whole} if whole else {})


def _are_fractions(values: list[str]) -> bool:
    return bool(values) and all(value.endswith(".0") for value in values)


def _in_order(sample: Sample, time: Tree) -> bool:
    if not time:
        return True
    read = clock(time["format"])
    times = [read(value) for value in sample.values(time["column"])]
    return times == sorted(times)


def _with_names(sample: Sample) -> Sample:
    """Columns without a header get the names of what they look like."""
    names: dict[str, str] = {}
    for column in sample.columns:
        if "kind" not in names.values() and kind_values(sample.values(column)):
            names[column] = "kind"
        elif "time" not in names.values() and time_format(sample.values(column)):
            names[column] = "time"
    left = [column for column in sample.columns if column not in names]
    names |= dict(zip(left, ("user", "item", "category"), strict=False))
    columns = tuple(names.get(column, column) for column in sample.columns)
    return sample._replace(columns=columns, file=sample.file.model_copy(update={"columns": columns}))

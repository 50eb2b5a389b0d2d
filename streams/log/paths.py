"""Places in nested JSON, as mappings name them: ``items[].item_id | product_id``.

An expression is one path, or several with ``|`` between them, of which the first that leads to a value counts. A path
is members with dots between them. A member may be followed by ``[]``, each element, which makes a row of each;
by ``[0]``, that element; or by ``[key=page]``, the first element whose member ``key`` is ``page``.

Of several lists on one level the first that has elements makes the rows. A single object where a list is expected is
a list of one."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import msgspec

MAX_ROWS: Final = 5_000
"""Of one record: more are refused. GA4 allows 25 events of 200 items in a request."""
MAX_STEPS: Final = 32
EACH: Final = "[]"
_STEP: Final = re.compile(
    r"(?P<name>[^\[\]|=]+)(?:\[(?:(?P<place>\d{1,6})|(?P<key>[^\[\]=]+)=(?P<value>[^\[\]]*))?\])?"
)
_DOTS: Final = re.compile(r"\.(?![^\[]*\])")
"""Dots outside of brackets."""


class Step(NamedTuple):
    """One member, and which element of it where it is a list: a number, or by what a member of it is."""

    name: str
    pick: int | tuple[str, str] | None = None


Steps = tuple[Step, ...]
Spread = tuple[Steps, ...]
"""What leads to each ``[]`` of a path, from the one outside of it: () in a path without any."""


class Path(NamedTuple):
    """Within an element of ``spread`` the place that ``steps`` lead to."""

    spread: Spread
    steps: Steps


def compiled(expression: str) -> tuple[Path, ...]:
    """The alternatives of an expression.

    Raises:
        ValueError: says what is wrong with it.
    """
    return tuple(_path(each.strip(), expression) for each in expression.split("|"))


def is_path(text: str) -> bool:
    """Whether a text is one path: names of members may hold what would mean something else here."""
    try:
        return len(compiled(text)) == 1
    except ValueError:
        return False


def _path(text: str, expression: str) -> Path:
    names = _DOTS.split(text)
    if not text or len(names) > MAX_STEPS:
        raise ValueError(f"{expression!r} has an alternative of {len(names) if text else 'no'} members")
    spread: list[Steps] = []
    steps: list[Step] = []
    for name in names:
        steps.append(_step(name.removesuffix(EACH), expression))
        if name.endswith(EACH):
            spread.append(tuple(steps))
            steps = []
    return Path(tuple(spread), tuple(steps))


def _step(text: str, expression: str) -> Step:
    found = _STEP.fullmatch(text)
    if found is None or not found["name"].strip():
        raise ValueError(
            f"{expression!r}: {text!r} is no member; write name, name[], name[0] or name[member=value]"
        )
    if found["place"]:
        return Step(found["name"], int(found["place"]))
    if found["key"]:
        return Step(found["name"], (found["key"], found["value"]))
    if text.endswith("]"):
        raise ValueError(f"{expression!r}: {text!r} has brackets twice")
    return Step(found["name"])


class Paths:
    """Reads one record into rows: texts, one for each expression.

    ``empty`` are texts that stand for no value. ``lenient``, objects and lists are written as JSON, not refused.
    """

    def __init__(
        self, expressions: Sequence[str], empty: Sequence[str] = (), *, lenient: bool = False
    ) -> None:
        self._expressions = tuple(expressions)
        self._lenient = lenient
        self._empty = {"", *empty}
        self._columns = [compiled(each) for each in expressions]
        self._lists: dict[Spread, list[Spread]] = {}
        """Lists inside of an element, in the order of the expressions."""
        spreads = [path.spread for column in self._columns for path in column]
        for spread in spreads:
            for depth in range(len(spread)):
                inside = self._lists.setdefault(spread[:depth], [])
                if spread[: depth + 1] not in inside:
                    inside.append(spread[: depth + 1])

    def rows(self, record: Any) -> Iterator[list[str]]:
        """The rows of a record, at least one. Empty text stands for what is not there.

        Raises:
            ValueError: a place holds an object or a list, or there are more than ``MAX_ROWS`` rows.
        """
        for n, bound in enumerate(self._bound((), record, {})):
            if n == MAX_ROWS:
                raise ValueError(f"more than {MAX_ROWS} rows in one record")
            yield [
                self._text(expression, column, bound)
                for expression, column in zip(self._expressions, self._columns, strict=True)
            ]

    def _bound(self, spread: Spread, element: Any, outside: dict[Spread, Any]) -> Iterator[dict[Spread, Any]]:
        """Which element of each list a row is of."""
        bound = {**outside, spread: element}
        for inside in self._lists.get(spread, ()):
            elements = _walked(element, inside[-1])
            if isinstance(elements, dict):
                elements = [elements]
            if isinstance(elements, list) and elements:
                for each in elements:
                    yield from self._bound(inside, each, bound)
                return
        yield bound

    def _text(self, expression: str, column: Sequence[Path], bound: dict[Spread, Any]) -> str:
        for spread, steps in column:
            if spread in bound:
                value = _walked(bound[spread], steps)
                if value is not None and (text := self._as_text(value, expression)) not in self._empty:
                    return text
        return ""

    def _as_text(self, value: Any, expression: str) -> str:
        if isinstance(value, dict | list) and not self._lenient:
            what = "an object" if isinstance(value, dict) else "a list"
            raise ValueError(f"{expression} is {what}, expected a value")
        return as_text(value)


def _walked(value: Any, steps: Steps) -> Any:
    for name, pick in steps:
        value = value.get(name) if isinstance(value, dict) else None
        if pick is not None:
            value = _picked(value, pick)
    return value


def _picked(value: Any, pick: int | tuple[str, str]) -> Any:
    if not isinstance(value, list):
        return None
    if isinstance(pick, int):
        return value[pick] if pick < len(value) else None
    member, wanted = pick
    return next((each for each in value if isinstance(each, dict) and each.get(member) == wanted), None)


def as_text(value: Any) -> str:
    """As it would stand in a CSV file."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else msgspec.json.encode(value).decode()

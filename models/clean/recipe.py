"""A recipe: the steps by which data are cleaned, in their order, under a version of its own.

::

    version: "2026-11.1"
    steps:
      - {do: normalise, fields: [category, brand, query]}
      - {do: map, field: category, values: {footwear: shoes}}
      - {do: fill, fields: [category, price]}

Only what is declared, and whether it makes sense; ``cleaner`` does it.
"""

from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from xxhash import xxh64_hexdigest

from models.quality.actions import BLANK, QUARANTINE
from schemas import topics
from schemas.events import MAX_ID_BYTES

MAX_STEPS: Final = 32
MAX_PRICE: Final = 1e9
CATALOG: Final = (topics.ITEMS, topics.PROMOTIONS)
SOURCES: Final = (*topics.BEHAVIOUR, *CATALOG)

Text = Literal["category", "brand", "query", "platform", "title"]
Number = Literal["price", "quantity", "dwell_ms"]
Attribute = Literal["category", "brand", "price"]
StepName = Annotated[str, Field(max_length=48, pattern=r"^[!-~]([ -~]*[!-~])?$")]
Label = Annotated[str, Field(min_length=1, max_length=MAX_ID_BYTES)]


class RecipeError(ValueError):
    """A recipe that cannot be followed; the message names the places."""


class Step(BaseModel):
    """What all steps have. A step takes the sources it names, by event time from ``from`` on and before ``until``."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: StepName | None = None
    """What it is counted by; by default what it does, and to what."""
    sources: tuple[str, ...] = SOURCES
    from_: AwareDatetime | None = Field(None, alias="from")
    until: AwareDatetime | None = None

    @field_validator("sources")
    @classmethod
    def _known(cls, sources: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [each for each in sources if each not in SOURCES]
        if unknown or not sources:
            raise ValueError(
                f"{', '.join(unknown) or 'nothing'} is no source; those are {', '.join(SOURCES)}"
            )
        return sources

    @property
    def of(self) -> tuple[str, ...]:
        """The fields that it changes."""
        return ()

    @property
    def label(self) -> str:
        """Its name."""
        return self.name or " ".join([self.model_dump()["do"], *self.of])[:48]

    @property
    def span_ms(self) -> tuple[float, float]:
        """Event times that it takes: from the first on, before the second."""
        return _ms(self.from_, -float("inf")), _ms(self.until, float("inf"))

    def takes(self, time_ms: float) -> bool:
        """Whether the span has this event time."""
        first_ms, end_ms = self.span_ms
        return first_ms <= time_ms < end_ms


class EventStep(Step):
    """A step that the catalogue has no use for."""

    sources: tuple[str, ...] = topics.BEHAVIOUR

    @field_validator("sources")
    @classmethod
    def _of_events(cls, sources: tuple[str, ...]) -> tuple[str, ...]:
        if not set(sources).issubset(topics.BEHAVIOUR):
            raise ValueError(f"this is done to events, on {', '.join(topics.BEHAVIOUR)}")
        return sources


class Normalise(Step):
    """One spelling for what is the same: Unicode form, case, white space. What is then empty says nothing."""

    do: Literal["normalise"]
    fields: Annotated[tuple[Text, ...], Field(min_length=1)]
    unicode: Literal["NFC", "NFKC"] | None = "NFKC"
    case: Literal["fold", "keep"] = "fold"
    trim: bool = True

    @property
    def of(self) -> tuple[str, ...]:
        """See ``Step``."""
        return self.fields


class Map(Step):
    """Names to names; null says nothing. A name that is not listed stays."""

    do: Literal["map"]
    field: Text
    values: Annotated[dict[str, Label | None], Field(min_length=1)]

    @model_validator(mode="after")
    def _queries_stay(self) -> Self:
        if self.field == "query" and None in self.values.values():
            raise ValueError("a query cannot be null")
        return self

    @property
    def of(self) -> tuple[str, ...]:
        """See ``Step``."""
        return (self.field,)


class Scale(Step):
    """Another unit. The sources must be named: a unit is a property of one."""

    do: Literal["scale"]
    field: Literal["price"]
    factor: Annotated[float, Field(gt=0.0, le=1e6)]
    sources: tuple[str, ...]

    @property
    def of(self) -> tuple[str, ...]:
        """See ``Step``."""
        return (self.field,)


class Clip(Step):
    """Into a range; with ``outside: blank`` a price beyond it says nothing."""

    do: Literal["clip"]
    field: Number
    min: Annotated[float, Field(ge=0.0)] = 0.0
    max: Annotated[float, Field(gt=0.0)] = 1e9
    outside: Literal["clip", "blank"] = "clip"

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.min >= self.max:
            raise ValueError(f"min = {self.min:g} is not below max = {self.max:g}")
        if self.outside == "blank" and self.field != "price":
            raise ValueError(f"{self.field} cannot be blank; only price can")
        if self.field != "price" and not (self.min.is_integer() and self.max.is_integer()):
            raise ValueError(f"{self.field} is a whole number, and so are its bounds")
        if self.field == "quantity" and self.min == 0.0:
            raise ValueError("the least quantity is 1: set min to 1 or more")
        return self

    @property
    def of(self) -> tuple[str, ...]:
        """See ``Step``."""
        return (self.field,)


class Alias(Step):
    """Ids of variants to the id of the item that they are. Entries of the catalogue for a variant are passed over."""

    do: Literal["alias"]
    values: Annotated[dict[Label, Label], Field(min_length=1)]

    @field_validator("values")
    @classmethod
    def _to_their_ends(cls, values: dict[str, str]) -> dict[str, str]:
        return {name: _end(name, values) for name in values}

    @property
    def of(self) -> tuple[str, ...]:
        """See ``Step``."""
        return ("item_id",)


class Merge(EventStep):
    """Events of a user that say the same but for id and time, in one window of ``within_s`` of event time, are one."""

    do: Literal["merge"]
    within_s: Annotated[float, Field(ge=0.001, le=86_400.0)]


class Fill(EventStep):
    """What an event leaves out, from the catalogue; ``learned``: else from earlier events; else the ``default``."""

    do: Literal["fill"]
    fields: Annotated[tuple[Attribute, ...], Field(min_length=1)]
    learned: bool = True
    default: str | float | None = None

    @model_validator(mode="after")
    def _default_fits(self) -> Self:
        if self.default is None:
            return self
        if len(self.fields) > 1:
            raise ValueError("a default is for one field: write a step for each")
        if isinstance(self.default, str) == (self.fields[0] == "price"):
            raise ValueError(f"{self.default!r} is no {self.fields[0]}")
        if isinstance(self.default, float) and not 0.0 <= self.default <= MAX_PRICE:
            raise ValueError(f"{self.default:g} is no price: those are from 0 to {MAX_PRICE:g}; leave it out")
        if isinstance(self.default, str) and not 0 < len(self.default.encode()) <= MAX_ID_BYTES:
            raise ValueError(f"a default has 1 to {MAX_ID_BYTES} bytes")
        return self

    @property
    def of(self) -> tuple[str, ...]:
        """See ``Step``."""
        return self.fields


class Cap(EventStep):
    """Of a user with more than ``events`` in ``within_s``, only a share ``keep`` of those beyond teaches others."""

    do: Literal["cap"]
    events: Annotated[int, Field(ge=1)]
    within_s: Annotated[float, Field(gt=0.0)] = 3_600.0
    keep: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0


AnyStep = Normalise | Map | Scale | Clip | Alias | Merge | Fill | Cap
ORDER: Final[dict[type[Step], int]] = {Fill: 1, Cap: 2}
"""Steps that come after all others: what is filled in is judged by nobody, what is capped is cleaned before."""


class Recipe(BaseModel):
    """Frozen; unknown keys are refused. Without steps nothing is changed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Annotated[str, Field(max_length=32, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = "none"
    steps: Annotated[
        tuple[Annotated[AnyStep, Field(discriminator="do")], ...], Field(max_length=MAX_STEPS)
    ] = ()

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        labels = [step.label for step in self.steps]
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            raise ValueError(f"two steps are called {twice[0]!r}: give each a name")
        reserved = sorted({BLANK, QUARANTINE} & set(labels))
        if reserved:
            raise ValueError(f"{reserved[0]!r} is what actions are counted by: give the step another name")
        ranks = [ORDER.get(type(step), 0) for step in self.steps]
        if ranks != sorted(ranks):
            raise ValueError("steps that fill come after those that change, and cap comes last")
        if sum(isinstance(step, Cap) for step in self.steps) > 1:
            raise ValueError("there is one cap at most")
        return self

    @property
    def label(self) -> str:
        """The declared version, and a hash of what is declared: what travels with the data."""
        return f"{self.version}-{xxh64_hexdigest(self.model_dump_json().encode())[:8]}"


def recipe(declared: object) -> Recipe:
    """The recipe that a parsed YAML document declares.

    Raises:
        RecipeError: it names each place that is not understood.
    """
    if not isinstance(declared, dict) or "version" not in declared:
        raise RecipeError("a version and steps are expected")
    try:
        return Recipe.model_validate(declared)
    except ValidationError as error:
        raise RecipeError("; ".join(_problem(each) for each in error.errors())) from error


def _problem(error: Any) -> str:
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"]]
    place = "".join(parts).removeprefix(".")
    return f"{place}: {error['msg']}" if place else str(error["msg"])


def _end(name: str, values: dict[str, str]) -> str:
    passed = [name]
    while (following := values.get(passed[-1])) is not None:
        if following in passed:
            raise ValueError(f"the aliases go round: {' > '.join([*passed, following])}")
        passed.append(following)
    return passed[-1]


def _ms(moment: datetime | None, otherwise: float) -> float:
    return otherwise if moment is None else moment.timestamp() * 1_000.0

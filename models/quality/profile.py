"""Counts and sketches of one window of one source, which merge in any order."""

from collections.abc import Callable
from typing import Annotated, Final, TypeVar

from msgspec import Meta, Struct, field

from models.quality.lag import N_BINS
from models.quality.sketch import N_NUMBER_BINS, Keys, Labels, merge_bins, merge_keys, merge_labels

MAX_UNKNOWN_NAMES: Final = 16
MAX_UNKNOWN_CHARS: Final = 48
MAX_RECIPES: Final = 4
MAX_CLEANED: Final = 40
OTHER_NAMES: Final = "*"
"""Stands for the names beyond the first so many of a window and partition."""

Counts = dict[str, int]
Bins = Annotated[list[int], Meta(min_length=N_NUMBER_BINS, max_length=N_NUMBER_BINS)]
T = TypeVar("T")


def _empty_lag() -> list[int]:
    return [0] * N_BINS


class Profile(Struct, array_like=True, kw_only=True):
    """One source, one or more partitions, one window of event time of ``width_ms`` from ``start_ms``."""

    source: str
    partitions: list[int]
    """Ascending."""
    start_ms: int
    width_ms: int
    n_accepted: int = 0
    n_duplicates: int = 0
    n_late: int = 0
    """Of the accepted: those whose own window had closed; they are counted here instead, in every respect."""
    n_timely: int = 0
    n_item_checked: int = 0
    n_item_known: int = 0
    n_view_checked: int = 0
    n_viewed: int = 0
    rejected: Counts = field(default_factory=dict)
    """By reason."""
    shapes: Counts = field(default_factory=dict)
    """Accepted events, and parts of them, by the name of their struct."""
    absent: Counts = field(default_factory=dict)
    """By path of an optional field: how often it said nothing."""
    invalid: Counts = field(default_factory=dict)
    """By path: rejected records whose rejection names the field."""
    unknown_fields: Counts = field(default_factory=dict)
    lag: Annotated[list[int], Meta(min_length=N_BINS, max_length=N_BINS)] = field(default_factory=_empty_lag)
    compared: Counts = field(default_factory=dict)
    """Events that say something of an item of which it was known, by ``observe.FIELDS_COMPARED``."""
    agreed: Counts = field(default_factory=dict)
    """Of the compared: those that say the same."""
    numbers: dict[str, Bins] = field(default_factory=dict)
    """By path, over ``sketch.BOUNDS``."""
    labels: dict[str, Labels] = field(default_factory=dict)
    """By path."""
    keys: dict[str, Keys] = field(default_factory=dict)
    """By the last part of the path: items of lines are items."""
    recipes: Counts = field(default_factory=dict)
    """Accepted events by the label of the recipe that cleaned them."""
    cleaned: Counts = field(default_factory=dict)
    """Accepted events that each step of cleaning changed, or kept from teaching others."""

    @property
    def n_rejected(self) -> int:
        """Rejected records, of any reason."""
        return sum(self.rejected.values())

    @property
    def n_events(self) -> int:
        """All records, each counted once."""
        return self.n_accepted + self.n_rejected

    @property
    def end_ms(self) -> int:
        """End of the window, exclusive."""
        return self.start_ms + self.width_ms


def add(counts: Counts, more: Counts) -> None:
    """Add ``more`` to ``counts``."""
    for key, n in more.items():
        counts[key] = counts.get(key, 0) + n


def add_unknown(counts: Counts, more: Counts, max_names: int = MAX_UNKNOWN_NAMES) -> None:
    """Add names that are not known beforehand, cut short; those for which there is no room go under ``*``."""
    for name, n in more.items():
        key = name[:MAX_UNKNOWN_CHARS]
        if key not in counts and len(counts.keys() - {OTHER_NAMES}) >= max_names:
            key = OTHER_NAMES
        counts[key] = counts.get(key, 0) + n


def merge(a: Profile, b: Profile) -> Profile:
    """The sum of two profiles of one source and window; associative and commutative. Changes neither."""
    if (a.source, a.start_ms, a.width_ms) != (b.source, b.start_ms, b.width_ms):
        raise ValueError(
            f"profiles of {a.source} from {a.start_ms} to {a.end_ms} ms and of {b.source} from "
            f"{b.start_ms} to {b.end_ms} ms do not merge: only those of one source and window do"
        )
    return Profile(
        source=a.source,
        partitions=sorted({*a.partitions, *b.partitions}),
        start_ms=a.start_ms,
        width_ms=a.width_ms,
        n_accepted=a.n_accepted + b.n_accepted,
        n_duplicates=a.n_duplicates + b.n_duplicates,
        n_late=a.n_late + b.n_late,
        n_timely=a.n_timely + b.n_timely,
        n_item_checked=a.n_item_checked + b.n_item_checked,
        n_item_known=a.n_item_known + b.n_item_known,
        n_view_checked=a.n_view_checked + b.n_view_checked,
        n_viewed=a.n_viewed + b.n_viewed,
        rejected=_sum(a.rejected, b.rejected),
        shapes=_sum(a.shapes, b.shapes),
        absent=_sum(a.absent, b.absent),
        invalid=_sum(a.invalid, b.invalid),
        unknown_fields=_sum(a.unknown_fields, b.unknown_fields),
        lag=merge_bins(a.lag, b.lag),
        compared=_sum(a.compared, b.compared),
        agreed=_sum(a.agreed, b.agreed),
        numbers=_merged(a.numbers, b.numbers, merge_bins),
        labels=_merged(a.labels, b.labels, merge_labels),
        keys=_merged(a.keys, b.keys, merge_keys),
        recipes=_sum(a.recipes, b.recipes),
        cleaned=_sum(a.cleaned, b.cleaned),
    )


def _merged(a: dict[str, T], b: dict[str, T], merge: Callable[[T, T], T]) -> dict[str, T]:
    return {**a, **b, **{path: merge(a[path], b[path]) for path in a.keys() & b.keys()}}


def _sum(a: Counts, b: Counts) -> Counts:
    both = dict(a)
    add(both, b)
    return both

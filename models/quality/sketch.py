"""Sketches of the values of one field in one window: of bounded size, equal for any batching, and merged exactly.

Numbers go into fixed log-spaced bins, labels and keys into groups by their hash, so that any two sketches of one kind
add up. They are kept rather than KLL or frequent items, whose content follows from the order of merging.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from math import log
from typing import Annotated, Final

import numpy as np
from msgspec import Meta, Struct, field
from numpy.typing import NDArray
from xxhash import xxh3_64_intdigest

N_NUMBER_BINS: Final = 92
BOUNDS: Final[NDArray[np.float64]] = 10.0 ** (np.arange(N_NUMBER_BINS - 1) / 10 - 2)
"""Upper bounds, inclusive: ten bins a decade from 0.01 to 10^7. The first takes all below, the last all above."""

N_LABEL_GROUPS: Final = 64
MAX_EXAMPLE_BYTES: Final = 16
N_KEY_GROUPS: Final = 128
N_REGISTERS: Final = 128
"""Of HyperLogLog (Flajolet et al., AofA 2007): the number of keys is off by 9% of itself, one standard error."""

NUMBERS: Final = frozenset({"price", "quantity", "dwell_ms", "rating", "query"})
"""Fields by the last part of their path; of a query, its length in characters."""
LABELS: Final = frozenset({"category", "brand", "platform"})
KEYS: Final = frozenset({"user_id", "item_id"})


class Labels(Struct, array_like=True):
    """How often labels of each group were seen, and the first by name of each group, cut short."""

    counts: Annotated[list[int], Meta(min_length=N_LABEL_GROUPS, max_length=N_LABEL_GROUPS)] = field(
        default_factory=lambda: [0] * N_LABEL_GROUPS
    )
    examples: Annotated[list[str], Meta(min_length=N_LABEL_GROUPS, max_length=N_LABEL_GROUPS)] = field(
        default_factory=lambda: [""] * N_LABEL_GROUPS
    )
    """Empty where none was seen."""


class Keys(Struct, array_like=True):
    """How often ids of each group were seen, and how many different ones there are. Holds no id."""

    counts: Annotated[list[int], Meta(min_length=N_KEY_GROUPS, max_length=N_KEY_GROUPS)] = field(
        default_factory=lambda: [0] * N_KEY_GROUPS
    )
    registers: Annotated[bytes, Meta(min_length=N_REGISTERS, max_length=N_REGISTERS)] = bytes(N_REGISTERS)


def add_numbers(bins: list[int], values: Sequence[object]) -> None:
    """Count the numbers, and the lengths of texts, among ``values``; None is left out.

    >>> bins = [0] * N_NUMBER_BINS
    >>> add_numbers(bins, [0, 1.0, None, "1234567890"])
    >>> bins[0], bins[20], bins[30]
    (1, 1, 1)
    """
    numbers = np.array([len(v) if isinstance(v, str) else v for v in values if v is not None], np.float64)
    new = np.bincount(np.searchsorted(BOUNDS, numbers))
    for bin_ in np.flatnonzero(new).tolist():
        bins[bin_] += int(new[bin_])


def add_labels(labels: Labels, values: Iterable[str | None]) -> None:
    """Count labels; None is left out."""
    counted = Counter(values)
    counted.pop(None, None)
    for value, n in counted.items():
        assert value is not None, "None was taken out"
        group = xxh3_64_intdigest(value.encode()) % N_LABEL_GROUPS
        labels.counts[group] += n
        example = value.encode()[:MAX_EXAMPLE_BYTES].decode(errors="ignore")
        labels.examples[group] = min(labels.examples[group] or example, example)


def add_keys(keys: Keys, values: Iterable[str]) -> None:
    """Count ids."""
    counted = Counter(values)
    hashes = np.fromiter((xxh3_64_intdigest(key.encode()) for key in counted), np.uint64, len(counted))
    groups = (hashes >> np.uint64(57)).astype(np.int64)
    new = np.bincount(groups, np.fromiter(counted.values(), np.float64, len(counted)))
    for group in np.flatnonzero(new).tolist():
        keys.counts[group] += int(new[group])
    _, bits = np.frexp(((hashes >> np.uint64(7)) & np.uint64(2**50 - 1)).astype(np.float64))
    registers = np.frombuffer(keys.registers, np.uint8).copy()
    np.maximum.at(
        registers, (hashes & np.uint64(N_REGISTERS - 1)).astype(np.int64), (51 - bits).astype(np.uint8)
    )
    keys.registers = registers.tobytes()


def n_distinct(keys: Keys) -> float:
    """How many different ids there were, estimated; few of them by linear counting."""
    registers = np.frombuffer(keys.registers, np.uint8)
    estimate = (
        0.7213
        / (1 + 1.079 / N_REGISTERS)
        * N_REGISTERS**2
        / float((2.0 ** -registers.astype(np.float64)).sum())
    )
    n_empty = int(np.count_nonzero(registers == 0))
    return N_REGISTERS * log(N_REGISTERS / n_empty) if n_empty and estimate < 2.5 * N_REGISTERS else estimate


def merge_bins(a: Sequence[int], b: Sequence[int]) -> list[int]:
    """The sum of two lists of counts of one length."""
    return [n + m for n, m in zip(a, b, strict=True)]


def merge_labels(a: Labels, b: Labels) -> Labels:
    """The sum of two sketches."""
    examples = [min(x or y, y or x) for x, y in zip(a.examples, b.examples, strict=True)]
    return Labels(merge_bins(a.counts, b.counts), examples)


def merge_keys(a: Keys, b: Keys) -> Keys:
    """The sum of two sketches."""
    both = (np.frombuffer(each.registers, np.uint8) for each in (a, b))
    return Keys(merge_bins(a.counts, b.counts), np.maximum(*both).tobytes())

"""What the bytes of a value are: JSON, text, packed, or something that only a schema can tell."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from models.inventory.columns import json_object
from schemas.inventory import Content

MAX_DECODED_BYTES: Final = 4 << 20
"""Larger values are not looked into: they are of the kind that the others are."""
_REGISTRY_HEAD: Final = 5
"""A zero and a schema id of four bytes, as serialisers of Confluent's registry write them."""
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


class Contents(NamedTuple):
    """What most values are, the objects in those that are JSON, and how many values are something else."""

    content: Content
    objects: list[tuple[int, dict[str, Any]]]
    """With their place in the sample."""
    n_other: int


def contents(values: Sequence[bytes | None]) -> Contents:
    """What the values of a sample are. Tombstones are nothing, and no fault."""
    found: list[tuple[int, dict[str, Any]]] = []
    kinds: Counter[Content] = Counter()
    for place, value in enumerate(values):
        if not value or len(value) > MAX_DECODED_BYTES:
            continue
        looked_into = json_object(value)
        if looked_into is not None:
            found.append((place, looked_into))
        kinds["json" if looked_into is not None else _kind(value)] += 1
    if not kinds:
        return Contents("binary" if any(values) else "empty", [], 0)
    most, n = kinds.most_common(1)[0]
    return Contents(most, found if most == "json" else [], kinds.total() - n)


def _kind(value: bytes) -> Content:
    if value.startswith(b"\x1f\x8b"):
        return "gzip"
    if value[0] == 0 and len(value) > _REGISTRY_HEAD:
        return "registry"
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return "binary"
    return "binary" if _CONTROLS.search(text) else "text"

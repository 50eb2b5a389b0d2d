"""One record, a line of a file or the value of a topic's record, to the object that a mapping reads.

What is in an envelope of CloudEvents comes out of it; its attributes are under ``$cloudevent``."""

from typing import Any, Final

import msgspec

from models.ingest.faults import DECODING_ERRORS
from streams.log.snowplow import bad_row, enriched

CLOUDEVENT: Final = "$cloudevent"
JSON_FORMATS: Final = ("jsonl", "snowplow")
"""Formats whose columns are paths."""
_decode: Final = msgspec.json.Decoder().decode


def object_of(text: str, form: str) -> dict[str, Any]:
    """The object in JSON, or in a line of Snowplow's where that is the format.

    Raises:
        ValueError: says why there is none.
    """
    if form == "snowplow" and not text.lstrip().startswith("{"):
        return enriched(text)
    try:
        value = _decode(text)
    except DECODING_ERRORS as error:
        raise ValueError(str(error)) from error
    if not isinstance(value, dict):
        raise ValueError("not an object")
    if kind := bad_row(value):
        raise ValueError(f"a bad row of Snowplow, {kind}: an event that it refused")
    return unwrapped(value)


def unwrapped(value: dict[str, Any]) -> dict[str, Any]:
    """The data of a CloudEvent in structured mode, anything else as it is."""
    data = value.get("data")
    if not (isinstance(data, dict) and {"specversion", "id", "type", "source"} <= value.keys()):
        return value
    return {**data, CLOUDEVENT: {name: each for name, each in value.items() if name != "data"}}

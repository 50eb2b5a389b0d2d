from typing import Literal

import msgspec
from msgspec import Struct

from schemas import typescript


class Pair(Struct, array_like=True):
    name: str
    share: float = 0.0


class Whole(Struct):
    """All of ``it``."""

    pairs: list[Pair]
    by_name: dict[str, int]
    state: Literal["on", "off"]
    words: list[str | None]
    anything: msgspec.Raw
    until_ms: int | None = None


def test_a_struct_becomes_an_interface_whose_defaulted_fields_are_optional():
    _, components = msgspec.json.schema_components([Whole], ref_template="{name}")
    assert typescript._declaration("Whole", components["Whole"]) == (
        "\n/** All of `it`. */\n"
        "export interface Whole {\n"
        "  pairs: Pair[];\n"
        "  by_name: Record<string, number>;\n"
        '  state: "off" | "on";\n'
        "  words: (string | null)[];\n"
        "  anything: unknown;\n"
        "  until_ms?: number | null;\n"
        "}\n"
    )


def test_a_struct_that_travels_as_an_array_becomes_a_tuple():
    _, components = msgspec.json.schema_components([Pair], ref_template="{name}")
    assert "export type Pair = [string, (number)?];\n" in typescript._declaration("Pair", components["Pair"])

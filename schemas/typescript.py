"""TypeScript types of everything that goes over the wire: values of the topics, and what the HTTP API takes and gives.

Only types: who reads JSON in a browser or on Node checks against them at build time. Fields with a default may be
missing, so they are optional.
"""

from collections.abc import Iterator, Mapping, Sequence
from inspect import isclass
from textwrap import dedent
from typing import Any, Final

import msgspec
from msgspec import Struct

from schemas import api, figures, shapes
from schemas.explain import Explanation

Schema = Mapping[str, Any]
HEAD: Final = "// Generated from schemas/ by `make docs`; do not edit.\n"
_NAMES: Final = {
    "string": "string",
    "integer": "number",
    "number": "number",
    "boolean": "boolean",
    "null": "null",
}


def module() -> str:
    """The source of a module that exports a type for each struct, sorted by name."""
    _, components = msgspec.json.schema_components(_structs(), ref_template="{name}")
    return HEAD + "".join(_declaration(name, components[name]) for name in sorted(components))


def _structs() -> Sequence[type[Struct]]:
    of_the_api = {**vars(figures), **vars(api)}.values()
    found = (each for each in of_the_api if isclass(each) and issubclass(each, Struct) and each is not Struct)
    return [*shapes.structs(), Explanation, *found]


def _declaration(name: str, schema: Schema) -> str:
    about = " ".join(dedent(schema.get("description", "")).replace("``", "`").split())
    comment = f"/** {about} */\n" if about else ""
    if "properties" in schema:
        fields = "".join(f"  {each};\n" for each in _fields(schema))
        return f"\n{comment}export interface {name} {{\n{fields}}}\n"
    return f"\n{comment}export type {name} = {_type(schema)};\n"


def _fields(schema: Schema) -> Iterator[str]:
    required = schema.get("required", ())
    for name, inner in schema["properties"].items():
        yield f"{name}{'' if name in required else '?'}: {_type(inner)}"


def _type(schema: Schema) -> str:
    if "$ref" in schema:
        return str(schema["$ref"])
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(_type(each) for each in schema["anyOf"]))
    if "enum" in schema:
        return " | ".join(f'"{each}"' for each in schema["enum"])
    if "prefixItems" in schema:
        return f"[{', '.join(_places(schema))}]"
    if schema.get("type") == "array":
        inner = _type(schema.get("items", {}))
        return f"({inner})[]" if " | " in inner else f"{inner}[]"
    if schema.get("type") == "object":
        return f"Record<string, {_type(schema.get('additionalProperties', {}))}>"
    return _NAMES.get(schema.get("type", ""), "unknown")


def _places(schema: Schema) -> Iterator[str]:
    n_required = schema.get("minItems", len(schema["prefixItems"]))
    for at, inner in enumerate(schema["prefixItems"]):
        yield _type(inner) if at < n_required else f"({_type(inner)})?"

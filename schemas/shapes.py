"""The types of the contract as people and tools read them: JSON Schemas, and fields with units and bounds."""

import re
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Any, Final, NamedTuple, get_args

import msgspec
from msgspec import Struct, inspect

from schemas.glossary import MEANINGS
from schemas.topics import catalogue

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_UNITS: Final = {"_per_s": "1/s", "_ms": "ms", "_s": "s"}
_WORDS: Final[dict[type, str]] = {
    inspect.StrType: "text",
    inspect.IntType: "integer",
    inspect.FloatType: "number",
    inspect.BoolType: "true or false",
    inspect.NoneType: "null",
    inspect.EnumType: "text",
}

Schema = dict[str, Any]
ValueType = type | UnionType


class FieldShape(NamedTuple):
    """One field as a person reads it."""

    name: str
    type: str
    required: bool
    unit: str
    meaning: str


def value_types() -> dict[str, ValueType]:
    """Value types of the topics that carry JSON, by file name, in the order of the catalogue."""
    return {
        file_name(each.name, each.value_type): each.value_type
        for each in catalogue()
        if each.value_type is not bytes
    }


def file_name(topic: str, value_type: ValueType) -> str:
    """``quality-report`` for ``QualityReport``; a union is named after its topic's last part."""
    name = topic.rpartition(".")[2] if get_args(value_type) else value_type.__name__  # type: ignore[union-attr]
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()


def members(value_type: ValueType) -> tuple[type[Struct], ...]:
    """The struct types that a value can be: one, or those of a union."""
    return get_args(value_type) or (value_type,)


def structs() -> tuple[type[Struct], ...]:
    """Every struct type of the contract, those inside others too, each once, in catalogue order."""
    found: dict[type[Struct], None] = {}
    for value_type in value_types().values():
        for each in members(value_type):
            _collect(inspect.type_info(each), found)
    return tuple(found)


def json_schema(name: str, value_type: ValueType) -> Schema:
    """A JSON Schema of its own for one value type. It lets unknown fields pass, as the decoders do."""
    (root,), definitions = msgspec.json.schema_components([value_type], ref_template="#/$defs/{name}")
    return {"$schema": DIALECT, "$id": f"urn:rillet:schema:{name}", **root, "$defs": _described(definitions)}


def components(ref_template: str) -> Schema:
    """The schemas of all struct types by name, which refer to each other through ``ref_template``."""
    return _described(msgspec.json.schema_components(structs(), ref_template=ref_template)[1])


def fields(struct: type[Struct]) -> Iterator[FieldShape]:
    """The fields of one struct, the tag first."""
    config = struct.__struct_config__
    if config.tag_field is not None:
        yield FieldShape(config.tag_field, f"`{config.tag}`", True, "", MEANINGS[config.tag_field])
    info = inspect.type_info(struct)
    assert isinstance(info, inspect.StructType), f"{struct} is no struct"
    for each in info.fields:
        yield FieldShape(each.name, _type(each.type), each.required, _unit(each.name), MEANINGS[each.name])


def _collect(info: inspect.Type, found: dict[type[Struct], None]) -> None:
    if isinstance(info, inspect.StructType):
        if info.cls not in found:
            found[info.cls] = None
            for each in info.fields:
                _collect(each.type, found)
        return
    for name in ("type", "item_type", "value_type"):
        if isinstance(inner := getattr(info, name, None), inspect.Type):
            _collect(inner, found)
    for inner in getattr(info, "types", ()):
        _collect(inner, found)


def _type(info: inspect.Type) -> str:
    if isinstance(info, inspect.Metadata):
        return _type(info.type)
    if isinstance(info, inspect.UnionType):
        return " or ".join(_type(each) for each in info.types)
    if isinstance(info, inspect.ListType):
        size = "" if info.max_length is None else f"{_span(info.min_length, info.max_length)} times "
        return f"list of {size}{_type(info.item_type)}"
    if isinstance(info, inspect.DictType):
        return f"object of {_type(info.value_type)} by {_type(info.key_type)}"
    if isinstance(info, inspect.StructType):
        return info.cls.__name__
    if isinstance(info, inspect.LiteralType):
        return " or ".join(f"`{each}`" for each in sorted(info.values, key=str))
    return _WORDS[type(info)] + _bounds(info)


def _bounds(info: inspect.Type) -> str:
    if isinstance(info, inspect.StrType) and info.max_length is not None:
        return f", {_span(info.min_length, info.max_length)} characters"
    if isinstance(info, inspect.IntType | inspect.FloatType) and info.ge is not None:
        return f", {info.ge:g} or more" if info.le is None else f", {_span(info.ge, info.le)}"
    return ""


def _span(least: float | None, most: float) -> str:
    return f"{most:,.10g}" if least == most else f"{least or 0:,.10g} to {most:,.10g}"


def _unit(name: str) -> str:
    return next((unit for suffix, unit in _UNITS.items() if name.endswith(suffix)), "")


def _described(definitions: Mapping[str, Schema]) -> Schema:
    for definition in definitions.values():
        for name, schema in definition.get("properties", {}).items():
            schema["description"] = MEANINGS[name]
    return dict(definitions)

"""The OpenAPI 3.1 document, made of the operations: what is routed is what is described."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version
from typing import Any, Final

import msgspec

from schemas.api import ProblemDetails
from schemas.glossary import MEANINGS
from streams.api.operations import EVENT_STREAM, JSON, PATH, Operation
from streams.api.problems import MEDIA, ProblemError

Schema = dict[str, Any]
_GENERIC: Final = re.compile(r"\b(?:Page|Report)_[\w.]+")
REF: Final = "#/components/schemas/{name}"
HEADERS: Final = {
    "ETag": "version of the answer, for `If-None-Match`",
    "Retry-After": "seconds after which to come again",
    "Rillet-Cold-Start": "`true` where nothing is known of the user",
}
ALWAYS: Final = (400, 421, 500)
"""Errors that every operation can give."""
INTRODUCTION: Final = (
    "Recommendations as they were published, events in, and answers of the workers. Errors are problem details "
    "(RFC 9457) with a `fix`. Lists come in pages: send `next` of one as `cursor` of the next."
)


def document(operations: Sequence[Operation]) -> Schema:
    """The document as JSON."""
    described = json.dumps(_document(operations))
    named: Schema = json.loads(_GENERIC.sub(lambda found: _plain(found[0]), described))
    return named


def _plain(name: str) -> str:
    """``PageOfItem`` for ``Page_schemas.catalog.Item_``."""
    return "Of".join(part for part in re.split(r"[_.]+", name) if part[:1].isupper())


def _document(operations: Sequence[Operation]) -> Schema:
    gives = [operation.gives for operation in operations if operation.gives is not None]
    types = [*gives, *(each for operation in operations for each in operation.body), ProblemDetails]
    _, components = msgspec.json.schema_components(types, ref_template=REF)
    paths: dict[str, Schema] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Rillet",
            "version": version("rillet"),
            "description": INTRODUCTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in dict.fromkeys(each.tag for each in operations)],
        "paths": paths,
        "components": {
            "schemas": {name: _described(schema) for name, schema in sorted(components.items())},
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Scopes read, ingest and admin, which includes the others. "
                    "Not needed where no tokens are set.",
                }
            },
        },
    }


def _operation(operation: Operation) -> Schema:
    told: Schema = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": [*_in_path(operation.path), *_in_query(operation), *_in_headers(operation)],
        "responses": _responses(operation),
    }
    if operation.scope:
        told["security"] = [{"token": [operation.scope]}]
        told["x-scope"] = operation.scope
    if operation.body:
        told["requestBody"] = {"required": True, "content": {JSON: {"schema": _body(operation)}}}
    return {name: value for name, value in told.items() if value != []}


def _in_path(path: str) -> Iterator[Schema]:
    for part in path.split("/"):
        if part.startswith("{"):
            name = part.strip("{}")
            schema: Schema = (
                {"type": "integer", "minimum": 0}
                if name in ("partition", "offset")
                else {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 256,
                }
            )
            yield {"name": name, "in": "path", "required": True, "description": PATH[name], "schema": schema}


def _in_query(operation: Operation) -> Iterator[Schema]:
    _, components = msgspec.json.schema_components([operation.query], ref_template=REF)
    shape = components[operation.query.__name__]
    for name, schema in shape["properties"].items():
        found = dict(schema)
        meaning = found.pop("description", None) or _inner(found)
        default = found.pop("default", None)
        if default not in (None, []):
            found["default"] = default
        yield {
            "name": name,
            "in": "query",
            "required": name in shape.get("required", []),
            "description": meaning,
            "schema": found,
        }


def _inner(schema: Schema) -> str:
    """The description of the part that has one, taken out of it."""
    return next((each.pop("description") for each in schema.get("anyOf", []) if "description" in each), "")


def _in_headers(operation: Operation) -> Iterator[Schema]:
    if operation.conditional:
        yield _header("If-None-Match", "ETags that are held already")
    if operation.media == EVENT_STREAM:
        yield _header("Last-Event-ID", "id of the last event that was received, as browsers send it")


def _header(name: str, meaning: str) -> Schema:
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": meaning,
        "schema": {"type": "string"},
    }


def _responses(operation: Operation) -> Schema:
    schema = {"type": "string"} if operation.gives is None else _schema(operation.gives)
    done: Schema = {"description": "as asked", "content": {operation.media: {"schema": schema}}}
    names = ["ETag"] if operation.conditional else []
    if operation.name == "slate":
        names.append("Rillet-Cold-Start")
    if names:
        done["headers"] = _headers(names)
    found: Schema = {str(operation.status): done}
    if operation.conditional:
        found["304"] = {"description": "what is held is the newest", "headers": _headers(["ETag"])}
    found |= {str(status): _problem(status) for status in _errors(operation)}
    return found | {str(status): done | {"description": "not so"} for status in operation.answers}


def _errors(operation: Operation) -> list[int]:
    of_tokens = [401, 403, 429] if operation.scope else []
    of_body = [413, 415, 503] if operation.body else []
    of_slow = [503] if operation.slow else []
    return sorted({*ALWAYS, *of_tokens, *of_body, *of_slow, *operation.refuses})


def _problem(status: int) -> Schema:
    if operation_status := {each.status: each for each in ProblemError.__subclasses__()}.get(status):
        found: Schema = {
            "description": operation_status.title,
            "content": {MEDIA: {"schema": {"$ref": REF.format(name="ProblemDetails")}}},
        }
        return found | ({"headers": _headers(["Retry-After"])} if status in (429, 503) else {})
    raise AssertionError(f"no problem has the status {status}")


def _body(operation: Operation) -> Schema:
    shapes = [_schema(each) for each in operation.body]
    one = shapes[0] if len(shapes) == 1 else {"anyOf": shapes}
    if not operation.many:
        return one
    several = {"type": "array", "items": one, "minItems": 1, "maxItems": operation.many}
    named = {"type": "object", "properties": {"events": several}, "required": ["events"]}
    return {"anyOf": [one, several, named | {"additionalProperties": False}]}


def _headers(names: Iterable[str]) -> Schema:
    return {name: {"description": HEADERS[name], "schema": {"type": "string"}} for name in names}


def _schema(type_: Any) -> Schema:
    (root,), _ = msgspec.json.schema_components([type_], ref_template=REF)
    return dict(root)


def _described(schema: Schema) -> Schema:
    for name, inner in schema.get("properties", {}).items():
        if name in MEANINGS and "description" not in inner:
            inner["description"] = MEANINGS[name]
    return schema

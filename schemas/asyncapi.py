"""The contract as an AsyncAPI 3.0 document with Kafka bindings 0.5.0.

From Rillet's point of view: it receives what the shop owns and sends the rest. Internal topics are left out.
"""

from typing import Any, Final

from schemas import headers, shapes
from schemas.topics import APP_ID, Topic, catalogue

VERSION: Final = "3.0.0"
BINDING_VERSION: Final = "0.5.0"
_DEAD_LETTER: Final = "DeadLetter"

Document = dict[str, Any]


def document() -> Document:
    """The whole document."""
    public = [each for each in catalogue() if not each.internal]
    return {
        "asyncapi": VERSION,
        "info": {
            "title": "Rillet",
            "version": "1",
            "description": "Shopping events in, recommendations and quality metrics out.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": headers.JSON,
        "servers": {"kafka": {"host": "localhost:9092", "protocol": "kafka"}},
        "channels": {_id(each): _channel(each) for each in public},
        "operations": {f"{_action(each)}-{_id(each)}": _operation(each) for each in public},
        "components": {"messages": _messages(public), "schemas": _schemas()},
    }


def _id(topic: Topic) -> str:
    return topic.name.replace(".", "-")


def _action(topic: Topic) -> str:
    return "receive" if topic.owner == "shop" else "send"


def _names(topic: Topic) -> list[str]:
    if topic.value_type is bytes:
        return [_DEAD_LETTER]
    return [each.__name__ for each in shapes.members(topic.value_type)]


def _channel(topic: Topic) -> Document:
    settings: Document = {
        "cleanup.policy": topic.cleanup.split(","),
        "retention.ms": topic.retention_ms,
        "max.message.bytes": topic.max_message_bytes,
    }
    if topic.compacted:
        settings["delete.retention.ms"] = int(topic.config()["delete.retention.ms"])
    binding = {"topic": topic.name, "partitions": topic.partitions, "topicConfiguration": settings}
    return {
        "address": topic.name,
        "description": topic.description,
        "messages": {name: {"$ref": f"#/components/messages/{_id(topic)}-{name}"} for name in _names(topic)},
        "bindings": {"kafka": {**binding, "bindingVersion": BINDING_VERSION}},
    }


def _operation(topic: Topic) -> Document:
    channel = f"#/channels/{_id(topic)}"
    group = {"groupId": {"type": "string", "enum": [APP_ID]}} if _action(topic) == "receive" else {}
    return {
        "action": _action(topic),
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{name}"} for name in _names(topic)],
        "bindings": {"kafka": {**group, "bindingVersion": BINDING_VERSION}},
    }


def _messages(public: list[Topic]) -> Document:
    return {f"{_id(each)}-{name}": _message(each, name) for each in public for name in _names(each)}


def _message(topic: Topic, name: str) -> Document:
    is_binary = name == _DEAD_LETTER
    return {
        "name": name,
        "contentType": "application/octet-stream" if is_binary else headers.JSON,
        "payload": {"type": "string", "format": "binary"}
        if is_binary
        else {"$ref": f"#/components/schemas/{name}"},
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": topic.key},
                "bindingVersion": BINDING_VERSION,
            }
        },
    }


def _schemas() -> Document:
    found = shapes.components("#/components/schemas/{name}")
    return {name: _as_draft_07(schema) for name, schema in found.items()}


def _as_draft_07(schema: Any) -> Any:
    """AsyncAPI's own schema objects extend draft-07, which spells the places of an array ``items``."""
    if isinstance(schema, list):
        return [_as_draft_07(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    renamed = {"items" if name == "prefixItems" else name: each for name, each in schema.items()}
    return {name: _as_draft_07(each) for name, each in renamed.items()}

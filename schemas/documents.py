"""Generates the documents of the contract: JSON Schemas, the AsyncAPI document, the page of topics, TypeScript types.

``render`` is pure; only ``write`` touches files. A test holds that what is committed is what is generated.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from schemas import asyncapi, headers, shapes, typescript
from schemas.rejections import REMEDIES
from schemas.topics import DAY_MS, FOREVER, MIB, Topic, catalogue, changelogs


def render() -> dict[str, str]:
    """Text of each document by its path below the repository's root."""
    schemas = {
        f"docs/schemas/{name}.json": _json(shapes.json_schema(name, value_type))
        for name, value_type in shapes.value_types().items()
    }
    return {
        **schemas,
        "docs/asyncapi.json": _json(asyncapi.document()),
        "docs/topics.md": _topics_page(),
        "streams/page/src/types.ts": typescript.module(),
    }


def write(root: Path) -> list[Path]:
    """Writes every document below ``root`` and answers with their paths; unchanged ones are left alone."""
    written = []
    for name, text in render().items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


def _json(document: Any) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _topics_page() -> str:
    return "\n".join(
        [
            "# Topics",
            "",
            "Generated from `schemas/`; do not edit. Text is UTF-8.",
            "Machine-readable: [AsyncAPI](asyncapi.json), [JSON Schemas](schemas/).",
            "",
            *_topic_table(catalogue()),
            "",
            *(f"- `{each.name}`: {each.description}" for each in catalogue()),
            "",
            "## Changelogs",
            "",
            "State of the workers, named after the application (`rillet` unless set otherwise).",
            "",
            *_topic_table(changelogs()),
            "",
            *_values(),
            "## Headers",
            "",
            *_headers(),
            "## Rejections",
            "",
            "Refused records go to `events.dead-letter`, verbatim, with one of these reasons.",
            "",
            *_table(("reason", "what to do"), ((f"`{reason}`", text) for reason, text in REMEDIES.items())),
            "",
        ]
    )


def _topic_table(topics: Sequence[Topic]) -> list[str]:
    head = ("topic", "key", "value", "owner", "partitions", "clean-up", "kept", "largest record")
    return _table(head, (_topic_row(each) for each in topics))


def _topic_row(topic: Topic) -> tuple[str, ...]:
    kept = "for ever" if topic.retention_ms == FOREVER else f"{topic.retention_ms // DAY_MS} days"
    size = f"{topic.max_message_bytes / MIB:.0f} MiB"
    return (
        f"`{topic.name}`",
        topic.key,
        _value(topic),
        topic.owner,
        str(topic.partitions),
        topic.cleanup,
        kept,
        size,
    )


def _value(topic: Topic) -> str:
    if topic.value_type is bytes:
        return "bytes, internal" if topic.internal else "bytes"
    links = [f"[{each.__name__}](#{each.__name__.lower()})" for each in shapes.members(topic.value_type)]
    return ", ".join(links)


def _values() -> Iterator[str]:
    yield from (
        "## Values",
        "",
        "JSON objects, arrays where said so. Unknown fields are dropped and counted.",
        "",
    )
    for struct in shapes.structs():
        about = " ".join((struct.__doc__ or "").replace("``", "`").split())
        layout = " An array of its fields, in this order." if struct.__struct_config__.array_like else ""
        yield from (f"### {struct.__name__}", "", about + layout, "")
        yield from _table(
            ("field", "type", "required", "unit", "meaning"),
            (
                (f"`{each.name}`", each.type, "yes" if each.required else "no", each.unit, each.meaning)
                for each in shapes.fields(struct)
            ),
        )
        yield ""


def _headers() -> Iterator[str]:
    rows = (
        (
            headers.CONTENT_TYPE,
            "events in",
            f"`{headers.CLOUDEVENTS_JSON}` for CloudEvents in structured mode",
        ),
        (
            headers.CONTENT_TYPE,
            "events in",
            f"`{headers.GA4_JSON}`, `{headers.SEGMENT_JSON}` for their vocabularies",
        ),
        (headers.CONTENT_ENCODING, "events in", "`gzip` or `identity`"),
        (headers.CE_ID, "events in", "fills `event_id` when the value lacks it"),
        (headers.CE_TIME, "events in", "RFC 3339, fills `time_ms` when the value lacks it"),
        (headers.CE_TYPE, "events in", "starting with `ga4.` or `segment.` it names the vocabulary"),
        (headers.CE_SPECVERSION, "events in", f"`{headers.SPECVERSION}`"),
        (headers.SLATE_ID, "slates", "drop a repeat by it"),
        (headers.EVENT_ID, "slates", "the event that caused the slate"),
        (headers.MODEL_VERSION, "slates", "version of the model that answered"),
        (headers.EVENT_TIME_MS, "slates", "event time"),
        (headers.PROCESSED_MS, "slates", "when the slate was made"),
        (headers.ERROR_EXCEPTION, "dead letters", "always `Rejection`"),
        (headers.ERROR_MESSAGE, "dead letters", "the place and the offending value"),
        (headers.ERROR_TOPIC, "dead letters", "topic of the refused record"),
        (headers.ERROR_PARTITION, "dead letters", "its partition"),
        (headers.ERROR_OFFSET, "dead letters", "its offset"),
        (headers.REASON, "dead letters", "the reason, as below"),
        (headers.ATTEMPT, "dead letters", "how often it has been refused"),
        (headers.TIMESTAMP_MS, "dead letters", "its own timestamp"),
    )
    yield from _table(("header", "on", "meaning"), ((f"`{name}`", on, text) for name, on, text in rows))
    yield ""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [_row(head), _row(["---"] * len(head)), *(_row(each) for each in rows)]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    write(Path(__file__).resolve().parent.parent)

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator, ValidationError

from schemas import asyncapi, documents, shapes, topics
from schemas.glossary import MEANINGS
from schemas.rejections import REMEDIES, Reason

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", sorted(documents.render()))
def test_committed_documents_are_what_the_types_generate(name):
    assert (ROOT / name).read_text(encoding="utf-8") == documents.render()[name], "run: make docs"


def test_no_schema_is_left_from_a_type_that_is_gone():
    committed = {f"docs/schemas/{path.name}" for path in (ROOT / "docs" / "schemas").glob("*")}
    assert committed == {name for name in documents.render() if name.startswith("docs/schemas/")}


def test_write_writes_all_and_leaves_alone_what_has_not_changed(tmp_path):
    written = documents.write(tmp_path)
    assert {str(path.relative_to(tmp_path)) for path in written} == set(documents.render())
    before = [path.stat().st_mtime_ns for path in written]
    documents.write(tmp_path)
    assert [path.stat().st_mtime_ns for path in written] == before


@pytest.mark.parametrize(("name", "value_type"), shapes.value_types().items())
def test_every_schema_is_a_schema(name, value_type):
    Draft202012Validator.check_schema(shapes.json_schema(name, value_type))


@pytest.mark.parametrize(
    "event",
    [
        {"user_id": "u1", "time_ms": 1, "item_id": "i1"},
        {"event_id": "", "user_id": "u1", "time_ms": 1, "item_id": "i1"},
        {"event_id": "e1", "user_id": "u1", "time_ms": "1", "item_id": "i1"},
        {"event_id": "e1", "user_id": "u1", "time_ms": 1, "item_id": "i1", "price": -1},
    ],
)
def test_schemas_refuse_what_the_types_refuse(event):
    schema = shapes.json_schema("browse", shapes.value_types()["browse"])
    with pytest.raises(ValidationError):
        Draft202012Validator(schema).validate(event)


def test_every_field_has_a_meaning_and_every_meaning_a_field():
    named = {field.name for struct in shapes.structs() for field in shapes.fields(struct)}
    assert named == set(MEANINGS)


def test_every_reason_has_a_remedy():
    assert set(REMEDIES) == set(Reason)


def test_the_page_of_topics_names_every_topic_field_and_reason():
    page = documents.render()["docs/topics.md"]
    for each in (*topics.catalogue(), *topics.changelogs()):
        assert f"| `{each.name}` |" in page
    for each in shapes.structs():
        assert f"\n### {each.__name__}\n" in page
    assert all(f"| `{reason}` |" in page for reason in Reason)


def test_every_public_topic_is_one_channel_with_one_operation():
    document = asyncapi.document()
    assert document["asyncapi"] == "3.0.0"
    public = {each.name: each for each in topics.catalogue() if not each.internal}
    channels = document["channels"]
    assert {channel["address"] for channel in channels.values()} == set(public)
    for operation in document["operations"].values():
        channel = channels[operation["channel"]["$ref"].removeprefix("#/channels/")]
        assert operation["action"] == ("receive" if public[channel["address"]].owner == "shop" else "send")
        binding = channel["bindings"]["kafka"]
        assert (binding["topic"], binding["bindingVersion"]) == (channel["address"], "0.5.0")
    assert len(document["operations"]) == len(channels)


def references(node):
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            yield from references(each)


def test_every_reference_of_the_asyncapi_document_leads_somewhere():
    document = json.loads(documents.render()["docs/asyncapi.json"])
    for reference in set(references(document)):
        found = document
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]
        assert found


def test_messages_of_operations_are_messages_of_their_channel():
    document = asyncapi.document()
    for operation in document["operations"].values():
        inside = operation["channel"]["$ref"] + "/messages/"
        assert all(each["$ref"].startswith(inside) for each in operation["messages"])

"""The OpenAPI document is what is committed, whole, and what is routed."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from streams.api.openapi_page import page
from streams.api.problems import ProblemError

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def text() -> str:
    return page()


@pytest.fixture(scope="module")
def document(text: str) -> dict[str, Any]:
    return json.loads(text)


def test_the_committed_document_is_what_the_operations_generate(text: str) -> None:
    assert (ROOT / "docs" / "openapi.json").read_text(encoding="utf-8") == text, "run: make docs"


def test_every_schema_is_sound_and_every_reference_leads_somewhere(
    document: dict[str, Any], text: str
) -> None:
    schemas = document["components"]["schemas"]
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    for part in text.split('"$ref": "')[1:]:
        assert part.partition('"')[0].removeprefix("#/components/schemas/") in schemas


def test_every_operation_says_who_may_and_what_can_go_wrong(document: dict[str, Any]) -> None:
    names = []
    for path, methods in document["paths"].items():
        for operation in methods.values():
            names.append(operation["operationId"])
            assert {"400", "500"} <= operation["responses"].keys()
            assert ("security" in operation) == path.startswith("/v1/")
            assert operation["summary"].endswith(".")
            for parameter in operation.get("parameters", []):
                assert parameter["description"], (path, parameter["name"])
    assert len(set(names)) == len(names)


def test_an_api_that_is_not_ready_tells_what_is_missing_in_the_shape_described(
    document: dict[str, Any],
) -> None:
    unready = document["paths"]["/readyz"]["get"]["responses"]["503"]["content"]
    assert unready == {"application/json": {"schema": {"$ref": "#/components/schemas/Health"}}}


def test_events_are_taken_one_by_one_and_up_to_a_thousand_at_once(document: dict[str, Any]) -> None:
    body = document["paths"]["/v1/events"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    one = document["components"]["schemas"]["Browse"]["properties"]
    event = {"event_id": "e", "user_id": "u", "time_ms": 1, "item_id": "i"}
    assert event.keys() <= one.keys()
    taken = Draft202012Validator({**body, "components": document["components"]}).is_valid
    assert [taken(each) for each in (event, [event], {"events": [event]})] == [True] * 3
    assert [taken(each) for each in ([], {"events": []}, [event] * 1_001)] == [False] * 3


def test_every_route_is_in_the_manual(document: dict[str, Any]) -> None:
    manual = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    assert [path for path in document["paths"] if f"`{path}`" not in manual] == []


def test_every_problem_is_in_the_manual() -> None:
    manual = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    for problem in ProblemError.__subclasses__():
        assert f"| {problem.status} | `{problem.name}` |" in manual

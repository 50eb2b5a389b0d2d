"""A recipe says what it means, or is refused with the place that is wrong."""

from typing import Any

import pytest
import yaml

from models.clean.recipe import Recipe, RecipeError, recipe
from schemas import topics

MINIMAL = {"version": "1", "steps": [{"do": "normalise", "fields": ["category"]}]}


def test_steps_have_names_sources_and_a_span() -> None:
    found = recipe(
        yaml.safe_load(
            """
            version: "2026-11.1"
            steps:
              - {do: scale, field: price, factor: 0.01, sources: [events.browse], until: 2026-11-02T00:00:00Z}
              - {do: fill, name: fill in, fields: [category, brand]}
            """
        )
    )
    scale, fill = found.steps
    assert (scale.label, scale.sources) == ("scale price", (topics.BROWSE,))
    assert scale.span_ms == (-float("inf"), 1_793_577_600_000.0)  # 2026-11-02 is 20,759 days after 1970
    assert (fill.label, fill.sources) == ("fill in", topics.BEHAVIOUR)


def test_the_label_is_the_version_and_what_is_declared() -> None:
    same, other = recipe(MINIMAL), recipe({**MINIMAL, "steps": [{"do": "normalise", "fields": ["brand"]}]})
    assert same.label == recipe(MINIMAL).label
    assert same.label.startswith("1-")
    assert other.label != same.label
    assert Recipe().steps == ()


def test_aliases_lead_to_their_end() -> None:
    step = recipe({"version": "1", "steps": [{"do": "alias", "values": {"a": "b", "b": "c"}}]}).steps[0]
    assert step.model_dump()["values"] == {"a": "c", "b": "c"}


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([{"do": "polish"}], "steps[0]"),
        ([{"do": "normalise", "fields": ["colour"]}], "steps[0].normalise.fields[0]"),
        ([{"do": "normalise", "fields": ["brand"], "loud": True}], "steps[0].normalise.loud"),
        ([{"do": "scale", "field": "price", "factor": 0.01}], "steps[0].scale.sources: Field required"),
        ([{"do": "scale", "field": "price", "factor": 0, "sources": ["events.browse"]}], "factor"),
        ([{"do": "map", "field": "brand", "values": {"x": "y"}, "sources": ["shop"]}], "shop is no source"),
        ([{"do": "map", "field": "query", "values": {"x": None}}], "a query cannot be null"),
        ([{"do": "map", "field": "brand", "values": {1: "y"}}], "valid string"),
        ([{"do": "clip", "field": "price", "min": 5, "max": 1}], "min = 5 is not below max = 1"),
        ([{"do": "clip", "field": "quantity", "max": 9}], "the least quantity is 1"),
        ([{"do": "clip", "field": "dwell_ms", "max": 9, "outside": "blank"}], "only price can"),
        ([{"do": "alias", "values": {"a": "b", "b": "a"}}], "the aliases go round: a > b > a"),
        ([{"do": "fill", "fields": ["price"], "default": "cheap"}], "'cheap' is no price"),
        ([{"do": "fill", "fields": ["price", "brand"], "default": 1.0}], "a default is for one field"),
        ([{"do": "fill", "fields": ["price"], "default": -1.0}], "-1 is no price"),
        ([{"do": "fill", "fields": ["brand"], "default": "é" * 129}], "a default has 1 to 256 bytes"),
        ([{"do": "merge", "within_s": 0.0005}], "steps[0].merge.within_s"),
        (
            [{"do": "merge", "within_s": 1, "name": "quarantine"}],
            "'quarantine' is what actions are counted by",
        ),
        ([{"do": "merge", "within_s": 1, "sources": ["catalog.items"]}], "this is done to events"),
        ([{"do": "fill", "fields": ["price"]}, MINIMAL["steps"][0]], "steps that fill come after"),
        ([{"do": "cap", "events": 9}, {"do": "fill", "fields": ["price"]}], "cap comes last"),
        ([{"do": "merge", "within_s": 1}, {"do": "merge", "within_s": 2}], "two steps are called 'merge'"),
        ([{"do": "normalise", "fields": ["brand"], "from": "2026-11-01T00:00:00"}], "timezone"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(steps: list[Any], said: str) -> None:
    with pytest.raises(RecipeError) as refused:
        recipe({"version": "1", "steps": steps})
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "document", [None, [], {"steps": []}, {"version": 1.2, "steps": []}, {"version": ""}]
)
def test_a_recipe_without_a_version_in_words_is_refused(document: Any) -> None:
    with pytest.raises(RecipeError):
        recipe(document)

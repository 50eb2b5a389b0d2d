"""What version 1 wrote, every later version reads. Fixtures are never changed, only added to."""

import json
from pathlib import Path

import msgspec
import pytest
from jsonschema import Draft202012Validator

from schemas import shapes

V1 = Path(__file__).parent / "fixtures" / "v1"
STORED = sorted(V1.glob("*.json"))
EXTENTS = ("minimal", "full")


def of_each(paths):
    return pytest.mark.parametrize("path", list(paths), ids=lambda path: path.stem)


def shapes_by_name():
    return {shapes.file_name("", each): each for each in shapes.structs()}


def shape_of(path):
    return shapes_by_name()[path.stem.rpartition("-")[0]]


def value_type_of(path):
    shape = shape_of(path)
    return next(each for each in shapes.value_types().values() if shape in shapes.members(each))


def test_every_value_is_stored_minimal_and_full():
    values = [each for value_type in shapes.value_types().values() for each in shapes.members(value_type)]
    names = [shapes.file_name("", each) for each in values]
    assert {path.stem for path in STORED} == {f"{name}-{extent}" for name in names for extent in EXTENTS}


@of_each(STORED)
def test_stored_values_decode_to_what_they_say(path):
    value = msgspec.json.decode(path.read_bytes(), type=value_type_of(path))
    assert type(value) is shape_of(path)
    for name, said in json.loads(path.read_text()).items():
        if not isinstance(said, list | dict) and name != "kind":
            assert getattr(value, name) == said


@of_each(STORED)
def test_stored_values_survive_being_written_again(path):
    value_type = value_type_of(path)
    value = msgspec.json.decode(path.read_bytes(), type=value_type)
    assert msgspec.json.decode(msgspec.json.encode(value), type=value_type) == value


@of_each(path for path in STORED if path.stem.endswith("full"))
def test_no_field_is_ever_gone(path):
    assert json.loads(path.read_text()).keys() <= {each.name for each in shapes.fields(shape_of(path))}


@of_each(path for path in STORED if path.stem.endswith("minimal"))
def test_no_field_is_ever_required_later(path):
    required = {each.name for each in shapes.fields(shape_of(path)) if each.required}
    assert required <= json.loads(path.read_text()).keys()


@of_each(STORED)
def test_stored_values_conform_to_the_published_schema(path):
    value_type = value_type_of(path)
    Draft202012Validator(shapes.json_schema("x", value_type)).validate(json.loads(path.read_text()))


@of_each(STORED)
def test_fields_of_later_versions_are_passed_over(path):
    later = json.loads(path.read_text()) | {"added-in-v2": {"any": ["thing"]}}
    value_type = value_type_of(path)
    assert msgspec.convert(later, value_type) == msgspec.json.decode(path.read_bytes(), type=value_type)

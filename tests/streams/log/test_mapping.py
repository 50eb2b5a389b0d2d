from pathlib import Path

import pytest

from streams.errors import InputError
from streams.log import mapping_page
from streams.log.mapping import keys, parse_mapping
from streams.log.presets import named, names, preset, text_of
from streams.log.propose import to_toml

ROOT = Path(__file__).parents[3]
LEAST = '[columns]\nuser = "u"\nitem = "i"\n'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[columns]\nusr = "u"\n', "there is no key columns.usr; did you mean columns.user?"),
        ("[colums]\n", "there is no key colums; did you mean columns?"),
        ('[columns]\nitem = "i"\n', "columns.user is missing"),
        (f'{LEAST}[time]\ncolumn = "t"\nformat = "seconds"\n', "none of s, ms, us, iso, number"),
        (f'{LEAST}[kind]\ncolumn = "k"\n', "column and values go together"),
        (f'{LEAST}[kind]\nconstant = "search"\n', "columns.query is missing: rows of kind search need it"),
        ('[columns]\nuser = "u"\n', "columns.item is missing: only searches go without"),
        (f'{LEAST}order = "o"\n', 'set kind.constant = "purchase"'),
        (f"{LEAST}[file]\nheader = false\n", "header = false needs columns"),
        (f'{LEAST}[id]\ntemplate = "same"\n', "gives every event the same id"),
        (f'{LEAST}[id]\ntemplate = "{{u"\n', "template = '{u'"),
        (f'{LEAST}[id]\ncolumn = "a"\nhash_of = ["b"]\n', "exclude each other"),
        ("[columns\n", "is no TOML"),
    ],
)
def test_what_is_wrong_with_a_mapping_is_told(text: str, says: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_mapping(text, "shop.toml")
    assert says in str(refused.value)
    assert "shop.toml" in str(refused.value)


def test_a_name_that_is_no_preset_is_refused_with_those_there_are() -> None:
    with pytest.raises(InputError, match=r"(?s)no preset 'odd'.*serenade"):
        named("odd")


def test_a_mapping_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"shop\.toml cannot be read"):
        named(str(tmp_path / "shop.toml"))


@pytest.mark.parametrize("name", names())
def test_presets_say_what_they_are_and_survive_being_written(name: str) -> None:
    assert preset(name).about
    assert parse_mapping(to_toml(preset(name)), name) == preset(name)
    assert parse_mapping(text_of(name), name) == preset(name)


def test_every_key_is_in_the_page_and_the_page_is_up_to_date() -> None:
    page = mapping_page.markdown()
    for key in keys():
        assert key == "about" or f"| `{key.rpartition('.')[2]}` |" in page
    assert (ROOT / "docs" / "mapping.md").read_text() == page, "run `make docs`"

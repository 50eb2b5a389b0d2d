"""The page of features is what the code defines, column by column."""

import re
from pathlib import Path

from models.rank.features import OF_SOURCE, VERSION, feature_names
from streams.features_page import page

ROOT = Path(__file__).parents[2]


def test_the_committed_page_is_what_the_features_generate() -> None:
    assert (ROOT / "docs" / "features.md").read_text(encoding="utf-8") == page(), "run: make docs"


def test_the_page_names_every_column_with_its_meaning_and_the_version() -> None:
    rows = re.findall(r"^\| `([^`]+)` \| (.+) \|$", page(), re.MULTILINE)
    assert [name for name, _ in rows] == [*(f"SOURCE.{column}" for column in OF_SOURCE), *feature_names([])]
    assert all(meaning.strip() for _, meaning in rows)
    # Eight sources by default: 8 * 6 columns of sources, 7 of the item, 16 of the pair, 10 of the moment.
    assert f"83 columns, version {VERSION}." in page()

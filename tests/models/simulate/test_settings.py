import pytest
from pydantic import ValidationError

from models.simulate.settings import SimulateSettings


def test_unknown_keys_are_refused() -> None:
    with pytest.raises(ValidationError, match="n_itmes"):
        SimulateSettings(n_itmes=10)


def test_more_busy_shoppers_than_there_are_is_refused_with_a_way_out() -> None:
    # 500 events/s at 1.47 events an act are 340 acts/s; with 2.754 s between acts 937 shoppers are busy.
    with pytest.raises(ValidationError, match=r"set n_shoppers to 1874 or more, or gap_s to 0\.107 or less"):
        SimulateSettings(n_shoppers=100)


def test_too_few_items_for_the_categories_are_refused() -> None:
    with pytest.raises(ValidationError, match="set n_items to at least 160"):
        SimulateSettings(n_items=100)


def test_every_setting_is_described() -> None:
    for name, field in SimulateSettings.model_fields.items():
        assert field.description, name

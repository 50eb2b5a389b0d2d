"""What would be if: the same as what is, where nothing is imagined."""

import numpy as np
import pytest

from models.explain.imagine import ImaginationError, Ranking, after, moved
from models.interest.codec import encode
from models.interest.settings import InterestSettings
from models.interest.state import State
from models.rank.features import feature_names
from models.rank.score import FixedWeights, Linear
from models.rank.settings import RankSettings
from schemas.events import Browse

SOURCES = ["trending", "content"]
NAMES = feature_names(SOURCES)


def linear() -> Ranking:
    ones = np.ones(len(NAMES), np.float32)
    return Ranking(Linear(NAMES, SOURCES, ones, ones), RankSettings())


def test_an_imagined_event_changes_a_copy_of_the_state() -> None:
    stored = encode(State())
    look = Browse(event_id="e", user_id="u", time_ms=2_000, item_id="i")
    state = after(stored, [look], InterestSettings(), lambda _: None, now_ms=5_000)
    assert (state.recents.items, state.latest_ms, state.stamps) == (["i"], 5_000, {"imagined-0": 0})
    assert stored == encode(State())


def test_factors_hold_for_sources_groups_and_single_features() -> None:
    ranking = moved(
        linear(), {"trending": 0.0, "item": 2.0, "content.score": 3.0, "content": 2.0}, {}, SOURCES
    )
    weights = dict(zip(NAMES, ranking.scorer.weights_of(NAMES).tolist(), strict=True))
    assert weights["trending.score"] == 0.0
    assert weights["popularity"] == 2.0
    assert weights["content.score"] == 6.0
    assert weights["content.log_score"] == 2.0
    assert weights["always"] == 1.0


def test_fixed_weights_are_moved_by_source() -> None:
    settings = RankSettings(source_weights={"trending": 0.5})
    ranking = moved(Ranking(FixedWeights(settings), settings), {"trending": 2.0, "content": 3.0}, {}, SOURCES)
    assert ranking.settings.source_weights == {"trending": 1.0, "content": 3.0}


def test_settings_are_checked_as_those_of_a_file() -> None:
    assert moved(linear(), {}, {"mmr_lambda": 0.5}, SOURCES).settings.mmr_lambda == 0.5
    for wrong in ({"mmr_lambda": 2.0}, {"no_such": 1}):
        with pytest.raises(ImaginationError):
            moved(linear(), {}, wrong, SOURCES)


def test_a_weight_that_is_not_there_is_told() -> None:
    with pytest.raises(ImaginationError, match="luck"):
        moved(linear(), {"luck": 1.0}, {}, SOURCES)

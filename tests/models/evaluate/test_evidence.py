"""Weights tried on kept evidence rank as the path itself would with them."""

import numpy as np
import pytest

from models.evaluate.apart import apart
from models.evaluate.evidence import Gatherer, Weighing
from models.evaluate.measures import measured
from models.evaluate.of_path import OfPath
from models.evaluate.prequential import Prequential
from models.learn.settings import LearnSettings
from models.path import Path


@pytest.mark.parametrize(
    "weights", [{}, {"covisitation": 3.0, "trending": 0.5}, {"session_knn": 0.2, "recent": 2.0}]
)
def test_ndcg_of_weights_is_what_following_the_log_with_them_gives(shop_log, path_settings, weights):
    views = [event for event in shop_log if hasattr(event, "item_id")]
    rank = path_settings.rank.model_copy(update={"source_weights": weights})
    follower = Prequential(
        [OfPath(Path(path_settings._replace(rank=rank, learn=LearnSettings(enabled=False))))]
    )
    for _ in follower.run(views, 4):
        pass
    ndcg = measured(follower.found[0].ranks, np.array(follower.events.n_items), 10)[:, 2].mean()

    gatherer = Gatherer(path_settings)
    gatherer.trying = True
    for batch in apart(views, 4):
        gatherer.take(batch)
    weighing = Weighing(gatherer.evidence(), 10)
    column = np.array([weights.get(source, rank.default_weight) for source in weighing.sources], np.float32)
    assert weighing.ndcg(column) == pytest.approx(ndcg)

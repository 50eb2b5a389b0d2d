"""A version of the model as the retrieval source asks it."""

from typing import get_args

import numpy as np
import pytest
import torch

from models.embed.exported import Exported
from models.embed.index import Exact, ExactTorch, Hnsw, Index
from models.embed.model import seeded
from models.embed.quantise import Precision
from models.embed.serving import Serving
from models.embed.settings import EmbedSettings, IndexSettings

N, D = 500, 8


def served(index: IndexSettings) -> Serving:
    settings = EmbedSettings(dim=D, index=index)
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((N, D), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    weights = {name: each.numpy() for name, each in seeded(settings, torch.Generator()).state_dict().items()}
    none, nothing = np.zeros(0, np.int32), np.zeros((0, D), np.float32)
    exported = Exported(np.arange(N, dtype=np.int32), vectors, none, nothing, none, nothing, weights)
    return Serving("v", exported, settings)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU scores all")
@pytest.mark.parametrize(
    ("index", "kind"),
    [
        (IndexSettings(), Exact),
        (IndexSettings(exact_up_to=N - 1), Hnsw),
        (IndexSettings(layout="hnsw"), Hnsw),
        (IndexSettings(layout="exact", exact_up_to=0), Exact),
    ],
)
def test_items_are_searched_as_the_settings_say(index: IndexSettings, kind: type[Index]) -> None:
    serving = served(index)
    assert isinstance(serving._index, kind)
    nearest, cosines = serving.nearest(serving.items[:20], 3)
    assert nearest[:, 0].tolist() == list(range(20))
    assert np.allclose(cosines[:, 0], 1.0, atol=2e-3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_all_items_are_scored_there() -> None:
    serving = served(IndexSettings(layout="hnsw"))
    assert isinstance(serving._index, ExactTorch)
    assert serving.nearest(serving.items[:20], 3)[0][:, 0].tolist() == list(range(20))


def test_the_precisions_that_may_be_set_are_those_there_are() -> None:
    assert get_args(IndexSettings.model_fields["precision"].annotation) == get_args(Precision)

"""A promoted model in a worker: made ready in a thread, swapped in, refused where it does not fit."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from models.embed.index import _best
from models.embed.learner import Learner
from models.embed.portable import abroad
from models.knowledge.base import KnowledgeBase
from models.rank.features import VERSION
from models.retrieve.contract import Interactions
from schemas.snapshots import EMBEDDING, About, Manifest
from streams.embedding import EmbeddingSwap
from streams.settings import Settings
from streams.snapshots.errors import SnapshotBrokenError
from streams.snapshots.store import Part, SnapshotStore

N = 20
SETTINGS = Settings.model_validate(
    {
        "embed": {"dim": 8, "length": 4, "n_negatives": 16, "min_count": 1, "max_rows": 64, "max_users": 64},
        "knowledge": {"max_items": 64},
    }
)
SHAPE = {"encoder": "gru", "dim": 8, "layers": 1, "heads": 2, "length": 4, "temperature": 0.09}


def shop(words: list[str]) -> KnowledgeBase:
    made = KnowledgeBase(SETTINGS.knowledge, SETTINGS.retrieve)
    made.vocabularies.items.encode(words)
    return made


@pytest.fixture(scope="module")
def part() -> Part:
    knowledge = shop([f"i{i}" for i in range(N)])
    learner = Learner(SETTINGS.embed, 64, knowledge.attributes, SETTINGS.interest, "cpu")
    n = 200
    learner.observe(
        Interactions(
            user=np.arange(n, dtype=np.uint64) % 30,
            session=np.zeros(n, np.uint64),
            item=np.arange(n, dtype=np.int32) % N,
            kind=np.full(n, 1, np.uint8),
            time_s=np.arange(n) * 10.0,
            term=np.full(n, -1, np.int32),
            segment=np.full(n, -1, np.int32),
        )
    )
    return Part(*abroad(learner.export(), knowledge.vocabularies))


def written(folder: Path, part: Part, **changed: Any) -> tuple[SnapshotStore, Manifest]:
    about = About(**{"model": EMBEDDING, "features": VERSION, "settings": SHAPE, **changed})
    store = SnapshotStore(SETTINGS.snapshots.model_copy(update={"url": str(folder)}))
    return store, store.write(part, about)


def swapped(
    knowledge: KnowledgeBase,
    store: SnapshotStore,
    manifest: Manifest,
    meanwhile: Callable[[], None] = lambda: None,
) -> tuple[EmbeddingSwap, list[BaseException]]:
    failures: list[BaseException] = []

    async def main() -> EmbeddingSwap:
        swap = EmbeddingSwap(SETTINGS, knowledge, failures.append)
        swap._serve(manifest, store.read(manifest.version))
        assert swap._task is not None
        await asyncio.sleep(0)
        meanwhile()
        await swap._task
        return swap

    return asyncio.run(main()), failures


def test_it_serves_what_was_promoted_by_the_workers_own_indexes(tmp_path: Path, part: Part) -> None:
    knowledge = shop(["new", *(f"i{i}" for i in range(N - 1, -1, -1))])
    store, manifest = written(tmp_path, part)
    _, failures = swapped(knowledge, store, manifest)
    assert failures == []
    source = knowledge.embedding
    assert source is not None
    assert source.version == manifest.version
    at = knowledge.vocabularies.items.index("i3")
    row = list(part.names["items"]).index("i3")
    assert source.items[at].tolist() == part.arrays["items"][row].tolist()
    assert not source.items[knowledge.vocabularies.items.index("new")].any()


def test_the_first_version_finds_its_kernels_compiled(tmp_path: Path, part: Part) -> None:
    knowledge = shop([f"i{i}" for i in range(N)])
    store, manifest = written(tmp_path, part)
    EmbeddingSwap(SETTINGS, knowledge, lambda error: None)
    compiled = list(_best.signatures)
    assert compiled
    swapped(knowledge, store, manifest)
    assert knowledge.embedding is not None
    assert knowledge.embedding.model is not None
    for n in (1, 5):
        knowledge.embedding.model.nearest(np.eye(n, 8, dtype=np.float32), 3)
    assert _best.signatures == compiled


def test_what_was_forgotten_meanwhile_has_no_vector(tmp_path: Path, part: Part) -> None:
    knowledge = shop([f"i{i}" for i in range(N)])
    store, manifest = written(tmp_path, part)
    source = knowledge.embedding
    assert source is not None

    def another_item_takes_the_index_of_i3() -> None:
        items = knowledge.vocabularies.items
        at = items._index.pop("i3")
        items._words[at], items._index["other"] = "other", at
        source.forget(np.array([at], np.int32))

    swapped(knowledge, store, manifest, another_item_takes_the_index_of_i3)
    assert not source.items[knowledge.vocabularies.items.index("other")].any()
    assert source.items[knowledge.vocabularies.items.index("i4")].any()


def test_one_of_other_features_is_refused_at_once(tmp_path: Path, part: Part) -> None:
    knowledge = shop(["i1"])
    store, manifest = written(tmp_path, part, features=VERSION + 1)
    with pytest.raises(SnapshotBrokenError, match="of the features"):
        swapped(knowledge, store, manifest)


@pytest.mark.parametrize("missing", ["items", "weights.out.weight"])
def test_one_whose_arrays_do_not_fit_is_told_and_the_old_goes_on(
    tmp_path: Path, part: Part, missing: str
) -> None:
    knowledge = shop([f"i{i}" for i in range(N)])
    store, good = written(tmp_path / "good", part)
    swapped(knowledge, store, good)
    arrays = {name: array for name, array in part.arrays.items() if name != missing}
    store, bad = written(tmp_path / "bad", Part(arrays, part.names))
    swap, failures = swapped(knowledge, store, bad)
    assert (swap.refuses, failures) == (True, [])
    assert knowledge.embedding is not None
    assert knowledge.embedding.version == good.version

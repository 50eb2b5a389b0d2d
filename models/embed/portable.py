"""What crosses processes: indexes are local to one, so that words go in their place, and back."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from models.embed.exported import Exported
from models.embed.table import I64, Arrays
from models.knowledge.vocabulary import Vocabularies, Vocabulary
from models.retrieve.contract import F32, I32

GONE: Final = ""
"""Stands for an index that no word has any more."""

TABLES: Final = ("items", "categories", "brands", "terms", "queries", "segments")
"""Of the learner; each has the name of its vocabulary. Price bands are the same everywhere."""

Names = Mapping[str, Sequence[str]]


def abroad(exported: Exported, vocabularies: Vocabularies) -> tuple[Arrays, dict[str, list[str]]]:
    """Arrays that have no indexes in them, and the words of their rows."""
    items, vectors = _named(exported.items, exported.vectors, vocabularies.items)
    queries, query_vectors = _named(exported.queries, exported.query_vectors, vocabularies.queries)
    segments, segment_vectors = _named(exported.segments, exported.segment_vectors, vocabularies.segments)
    weights = {f"weights.{name}": array for name, array in exported.weights.items()}
    arrays: Arrays = {"items": vectors, "queries": query_vectors, "segments": segment_vectors, **weights}
    return arrays, {"items": items, "queries": queries, "segments": segments}


def at_home(arrays: Arrays, names: Names, vocabularies: Vocabularies) -> Exported:
    """What ``abroad`` gave, for these vocabularies; words that they do not have are left out."""
    weights = {
        name.removeprefix("weights."): np.asarray(array, np.float32)
        for name, array in arrays.items()
        if name.startswith("weights.")
    }
    return Exported(
        *_found(arrays["items"], names["items"], vocabularies.items),
        *_found(arrays["queries"], names["queries"], vocabularies.queries),
        *_found(arrays["segments"], names["segments"], vocabularies.segments),
        weights,
    )


def state_abroad(state: Arrays, vocabularies: Vocabularies) -> tuple[Arrays, dict[str, list[str]]]:
    """State of a learner, with words in place of indexes."""
    local = dict(_local(state))
    names = {
        name: [word or GONE for word in _of(vocabularies, table).words(state[name].tolist())]
        for name, table in local.items()
    }
    return {name: array for name, array in state.items() if name not in local}, names


def state_at_home(arrays: Arrays, names: Names, vocabularies: Vocabularies) -> Arrays:
    """State of a learner as ``state_abroad`` gave it; the vocabularies take the words in."""
    for name, words in names.items():
        vocabulary = _of(vocabularies, name.partition(".")[0])
        vocabulary.encode([word for word in words if word != GONE])
        vocabulary.evicted()
    found = {name: _of(vocabularies, name.partition(".")[0]).lookup(words) for name, words in names.items()}
    return {**arrays, **found}


def _local(state: Arrays) -> Iterator[tuple[str, str]]:
    for name in state:
        table, _, column = name.partition(".")
        if table in TABLES and column in ("index", "seen"):
            yield name, table


def _of(vocabularies: Vocabularies, table: str) -> Vocabulary:
    vocabulary: Vocabulary = getattr(vocabularies, table)
    return vocabulary


def _named(indexes: I32, vectors: F32, vocabulary: Vocabulary) -> tuple[list[str], F32]:
    words = vocabulary.words(indexes.tolist())
    kept: I64 = np.array([row for row, word in enumerate(words) if word is not None], np.int64)
    return [word for word in words if word is not None], vectors[kept]


def _found(vectors: np.ndarray, words: Sequence[str], vocabulary: Vocabulary) -> tuple[I32, F32]:
    """Indexes ascending, and their vectors in single precision."""
    indexes = vocabulary.lookup(words)
    rows = np.flatnonzero(indexes >= 0)
    rows = rows[np.argsort(indexes[rows], kind="stable")]
    return indexes[rows], np.asarray(vectors[rows], np.float32)

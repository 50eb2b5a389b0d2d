"""Answers of a model as it was exported: users and items as unit vectors. It learns nothing."""

from typing import cast

import numpy as np
import torch

from models.embed.exported import Exported
from models.embed.heads import TASKS
from models.embed.model import Model, reading_of
from models.embed.sequences import Sequences
from models.embed.settings import EmbedSettings
from models.embed.table import I64
from models.retrieve.contract import F32, I32


class Inference:
    """On one device; with bfloat16 on a GPU, in single precision on a CPU."""

    def __init__(self, exported: Exported, settings: EmbedSettings, device: str | None = None) -> None:
        self.device = device_of(device)
        with torch.device("meta"):  # no first weights are drawn
            model = Model(settings, torch.Generator())
        weights = {name: torch.from_numpy(array.copy()) for name, array in exported.weights.items()}
        model.load_state_dict(weights, assign=True)
        self._model = model.to(self.device).eval()
        self.table = exported.vectors
        """(n, D) unit vectors of the items in ``indexes``."""
        self.indexes = exported.items
        """(n,) ascending."""
        self._rows, self._vectors = self._placed(exported.items, exported.vectors)
        self._query_rows, self._queries = self._placed(exported.queries, exported.query_vectors)
        self._segment_rows, self._segments = self._placed(exported.segments, exported.segment_vectors)

    def rows(self, items: I32) -> I64:
        """(...) rows of ``items`` in ``table``, -1 for those that have no vector."""
        found = _rows_of(self._rows, items)
        return np.where(found == len(self.table), -1, found)

    def items(self, items: I32) -> F32:
        """(n, D) vectors of ``items`` (n,), zero for those that have none."""
        return cast(
            F32, np.where((items >= 0)[:, None] & (self.rows(items) >= 0)[:, None], self._take(items), 0.0)
        )

    def forget(self, items: I32) -> None:
        """These indexes are about to be given to other items."""
        self._rows[items[items < len(self._rows) - 1]] = len(self.table)

    @property
    def usual(self) -> F32:
        """(T,) what a task's product with an item is added to."""
        return cast(F32, self._model.heads.usual.detach().float().cpu().numpy())

    def users(self, sequences: Sequences) -> F32:
        """(N, D) unit vectors of N users, each by its own past alone."""
        return np.ascontiguousarray(self.users_and_tasks(sequences)[:, 0])

    def users_and_tasks(self, sequences: Sequences) -> F32:
        """(N, 1 + T, D) the same, and the vectors of the tasks."""
        if not len(sequences.items):
            return np.zeros((0, 1 + len(TASKS), self.table.shape[1]), np.float32)
        reading = reading_of(sequences, _rows_of(self._rows, sequences.items), self.device)
        query = torch.from_numpy(_rows_of(self._query_rows, sequences.query)).to(self.device)
        segment = torch.from_numpy(_rows_of(self._segment_rows, sequences.segment)).to(self.device)
        on_gpu = self.device.startswith("cuda")
        with (
            torch.inference_mode(),
            torch.autocast(self.device.split(":")[0], torch.bfloat16, enabled=on_gpu),
        ):
            context = self._queries[query] + self._segments[segment]  # (N, D)
            users = self._model.users(self._vectors, reading, context)  # (N, D)
            both = torch.cat([users[:, None], self._model.heads.vectors(users)], dim=1)  # (N, 1 + T, D)
        return cast(F32, both.float().cpu().numpy())

    def _take(self, items: I32) -> F32:
        padded = np.concatenate([self.table, np.zeros((1, self.table.shape[1]), np.float32)])
        return cast(F32, padded[_rows_of(self._rows, items)])

    def _placed(self, indexes: I32, vectors: F32) -> tuple[I64, torch.Tensor]:
        """Row by index, and the rows with one of zeros after them, for what has none."""
        rows = np.full(int(indexes.max(initial=-1)) + 2, len(indexes), np.int64)
        rows[indexes] = np.arange(len(indexes))
        padded = np.concatenate([vectors, np.zeros((1, vectors.shape[1]), np.float32)])
        return rows, torch.from_numpy(padded).to(self.device)


def device_of(device: str | None) -> str:
    """The one asked for, else a GPU where there is one."""
    if device is not None:
        return device
    return "cuda" if torch.cuda.is_available() else "cpu"


def _rows_of(rows: I64, indexes: I32) -> I64:
    """The last entry of ``rows`` is that of what has none."""
    nowhere = len(rows) - 1
    return rows[np.where((indexes >= 0) & (indexes < nowhere), indexes, nowhere)]

"""Learns the model from interactions as they come, testing before it learns, and from what it remembers of them."""

from collections.abc import Callable, Sequence
from math import cos, nan, pi, sqrt
from typing import Final, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from models.embed.batcher import Batcher
from models.embed.crew import Alone, Crew
from models.embed.exported import Exported
from models.embed.given import GivenVectors
from models.embed.histories import Histories
from models.embed.inference import Inference, device_of
from models.embed.model import seeded
from models.embed.propagation import graph_of, propagated
from models.embed.ranks import ranks_of
from models.embed.replay import Replay
from models.embed.sequences import Examples, Sequences, leave_out
from models.embed.settings import EmbedSettings
from models.embed.step import halves, learned_of, losses
from models.embed.table import I64, Arrays, DynamicTable
from models.embed.tower import Tower
from models.interest.settings import InterestSettings
from models.knowledge.attributes import Attributes
from models.retrieve.contract import F32, I32, Interactions

K: Final = 20
RECENT_STEPS: Final = 50
"""The loss that is shown is a mean that forgets half of itself in about 35 steps."""
MAX_JUDGED: Final = 4_096
"""Held-out examples that an epoch is judged by, at most: the newest."""
GROUPED: Final = 32
"""Batches within which examples are grouped by length."""


class Epoch(NamedTuple):
    """How far fitting has come."""

    number: int
    """From 1."""
    n_examples: int
    loss: float
    """Mean over what was learned from."""
    hit_rate: float
    """HR@20 over all items on what was held out, NaN when nothing was."""
    mrr: float
    """MRR@20."""


class Learner:
    """AdamW over the encoder, lazy Adam over the tables. One at a time: it is not for several threads."""

    def __init__(
        self,
        settings: EmbedSettings,
        n_items: int,
        attributes: Attributes,
        interest: InterestSettings,
        device: str | None = None,
        crew: Crew | None = None,
    ) -> None:
        self.settings = settings
        self._device = device_of(device)
        self._rng = np.random.default_rng(settings.seed)
        generator = torch.Generator(self._device).manual_seed(settings.seed)
        self._model = seeded(settings, generator).to(self._device)
        self._optimiser = torch.optim.AdamW(
            self._model.parameters(), lr=settings.rate, weight_decay=settings.weight_decay
        )
        self._tower = Tower(settings, n_items, attributes, self._rng, self._device)
        self._queries, self._segments = (
            DynamicTable(settings.dim, settings.max_rows, n, 0.0, self._rng, self._device)
            for n in (settings.min_count, 1)
        )
        self._histories = Histories(settings.max_users, settings.length, interest)
        self._replay = Replay(settings.replay, settings.length, n_items)
        self._batcher = Batcher(
            settings, self._tower, self._queries, self._segments, self._replay.counts, self._rng, self._device
        )
        self._crew = crew or Alone(settings, self._device)
        self._waiting: list[Examples] = []
        self._loss = nan
        self.n_examples = 0
        """Examples seen so far, learned or only kept."""

    @property
    def loss(self) -> float:
        """Recent mean of -log P(target) before it was learned, over the whole catalogue; NaN before the first."""
        return self._loss

    @property
    def n_kept(self) -> int:
        """Examples in the replay buffer."""
        return len(self._replay)

    @property
    def size_bytes(self) -> int:
        """Memory held at most, without the weights of the encoder."""
        held = self._tower, self._queries, self._segments, self._histories, self._replay
        return sum(part.size_bytes for part in held)

    def describe(self, item: int, terms: I32) -> None:
        """Take ``terms`` (t,), indexes in the token vocabulary, as the words of ``item``, in place of earlier ones."""
        self._tower.describe(item, terms)

    def give(self, item: int, vector: Sequence[float] | F32 | None) -> None:
        """Take ``vector`` (G,) as what an encoder says of ``item``, in place of an earlier one; None says nothing."""
        self._tower.given.put(item, vector)

    @property
    def given(self) -> GivenVectors:
        """What was given."""
        return self._tower.given

    def observe(self, batch: Interactions, *, learn: bool = True) -> None:
        """Take n interactions in; with ``learn``, test and learn when ``online_batch`` examples wait, or more at once.

        Without, examples are only kept for ``fit``.
        """
        examples = self._histories.examples(batch)
        if not self.settings.learn_repeats:
            examples = examples.of(np.flatnonzero(examples.sequences.items[:, 0] != examples.item))
        self._tower.see(batch.item)
        self._queries.see(batch.term)
        self._segments.see(cast(I32, np.unique(batch.segment)))
        self.n_examples += len(examples.item)
        if not learn:
            self._replay.push(examples)
            return
        self._waiting.append(examples)
        if sum(len(e.item) for e in self._waiting) < self.settings.online_batch:
            return
        waiting, start = _joined(self._waiting), 0
        while (size := self._due(len(waiting.item) - start)) > 0:
            self._online(waiting.of(slice(start, start + size)))
            start += size
        self._waiting = [waiting.of(slice(start, None))]

    def fit(self, on_epoch: Callable[[Epoch], None] | None = None) -> None:
        """Learn what is kept in several passes, until what is newest is foretold no better; that is learned last."""
        s = self.settings
        n_held = int(len(self._replay) * s.held_out)
        best, best_mrr, waited = self._values(), -1.0, 0
        for number in range(1, s.epochs + 1):
            epoch = self._pass(number, n_held)
            if on_epoch:
                on_epoch(epoch)
            waited = waited + 1 if epoch.mrr <= best_mrr else 0
            if waited == 0:
                best, best_mrr = self._values(), epoch.mrr
            if waited == s.patience:
                break
        if best_mrr >= 0.0:
            self._restore(best)
        for ages in np.array_split(np.arange(n_held)[::-1], max(n_held // s.batch_size, 1)):
            self._learn(self._replay.of(ages), s.online_rate)

    def forget(self, items: I32) -> None:
        """These items' indexes are about to be given to others."""
        self._tower.forget(items)
        self._histories.forget(items)
        self._replay.forget(items)
        self._waiting = [e.of(np.flatnonzero(~np.isin(e.item, items))) for e in self._waiting]
        for examples in self._waiting:
            leave_out(examples, np.isin(examples.sequences.items, items))
        self._waiting = [e.of(np.flatnonzero(e.sequences.items[:, 0] >= 0)) for e in self._waiting]

    def export(self) -> Exported:
        """All that answers need, as of now; vectors of items are drawn towards those of the items that follow them."""
        exported = self._learned()
        if self.settings.propagation == 0.0:
            return exported
        row = np.full(len(self._replay.counts), -1, np.int64)
        row[exported.items] = np.arange(len(exported.items))
        here, there = (row[items] for items in self._replay.followed())
        known = (here >= 0) & (there >= 0)
        graph = graph_of(here[known], there[known], len(exported.items))
        return exported._replace(vectors=propagated(exported.vectors, graph, self.settings.propagation))

    @torch.inference_mode()
    def _learned(self) -> Exported:
        self._model.eval()
        items = self._tower.known()
        vectors = np.zeros((len(items), self.settings.dim), np.float32)
        for start in range(0, len(items), 1 << 14):
            some = slice(start, start + (1 << 14))
            vectors[some] = self._model.items(self._tower.gather(items[some])).cpu().numpy()
        tables = [_rows(table) for table in (self._queries, self._segments)]
        return Exported(items, vectors, *tables[0], *tables[1], self._weights())

    def state(self) -> Arrays:
        """What learning goes on from, by name, moments and counters included; not histories and replay buffer.

        Arrays named ``….index`` and ``….seen`` hold indexes, which are local to a process: the caller puts those of
        its own vocabulary in their place, -1 for what is gone, before it calls ``load``.
        """
        out = self._tower.state()
        for name, table in self._contexts().items():
            out.update({f"{name}.{key}": array for key, array in table.state().items()})
        for name, p in self._model.named_parameters():
            out[f"weights.{name}"] = _numpy(p)
            for key, moment in self._optimiser.state[p].items():
                out[f"optimiser.{key}.{name}"] = _numpy(moment)
        out["learner"] = np.array([self.n_examples, self._loss])
        return out

    def load(self, state: Arrays) -> None:
        """Go on from what ``state`` gave."""
        self._tower.load(state)
        for name, table in self._contexts().items():
            mine = name + "."
            table.load({key.removeprefix(mine): a for key, a in state.items() if key.startswith(mine)})
        for name, p in self._model.named_parameters():
            p.data.copy_(torch.from_numpy(state[f"weights.{name}"]))
            moments = {
                key: torch.from_numpy(state[f"optimiser.{key}.{name}"].copy())
                for key in ("step", "exp_avg", "exp_avg_sq")
                if f"optimiser.{key}.{name}" in state
            }
            if moments:
                self._optimiser.state[p] = {
                    key: moment if key == "step" else moment.to(self._device)
                    for key, moment in moments.items()
                }
        self.n_examples, self._loss = int(state["learner"][0]), float(state["learner"][1])

    def _pass(self, number: int, n_held: int) -> Epoch:
        """Read all that is kept but the newest ``n_held``, which judge it."""
        batches, losses, n_read = self._batches(n_held, len(self._replay)), [], 0
        for i, ages in enumerate(batches):
            done = (number - 1 + i / len(batches)) / self.settings.epochs
            examples = self._replay.of(ages)
            losses.append(self._learn(examples, self.settings.rate * schedule(done, self.settings.warm_up)))
            n_read += len(examples.item)
        hit_rate, mrr = self._judge(self._replay.of(np.arange(min(n_held, MAX_JUDGED))))
        return Epoch(number, n_read, float(np.mean(losses)) if losses else nan, hit_rate, mrr)

    def _online(self, fresh: Examples) -> None:
        self._replay.push(fresh)
        loss = self._test(fresh)
        self._loss = loss if self._loss != self._loss else self._loss + (loss - self._loss) / RECENT_STEPS
        share = self.settings.replay_share
        n_again = round(len(fresh.item) * share / (1.0 - share))
        again = self._replay.of(self._rng.integers(0, len(self._replay), n_again))
        rate = self.settings.online_rate * sqrt(len(fresh.item) / self.settings.online_batch)
        self._learn(_joined([fresh, again]), rate)

    def _due(self, n_waiting: int) -> int:
        """Examples of the next step online: all that wait where it is many, none where it is few."""
        size = self.settings.online_batch
        return 0 if n_waiting < size else min(n_waiting // size * size, max(self.settings.batch_size, size))

    def _learn(self, examples: Examples, rate: float) -> float:
        """One step; the loss before it, with dropout."""
        if not len(examples.item):
            return 0.0
        self._model.train()
        self._optimiser.zero_grad()
        batch = self._batcher.batch(examples)
        loss = self._crew.gradients(self._model, batch)
        tables = learned_of(batch)
        learned = [*self._model.parameters(), *(gathered.values for gathered in tables)]
        nn.utils.clip_grad_norm_([p for p in learned if p.grad is not None], self.settings.clip)
        self._optimiser.param_groups[0]["lr"] = rate
        self._optimiser.step()
        for table, rows in zip(self._tables(), tables, strict=True):
            table.step(rows, rate, self.settings.weight_decay)
        return loss

    @torch.inference_mode()
    def _test(self, examples: Examples) -> float:
        """Mean loss, of targets that are known."""
        self._model.eval()
        batch = self._batcher.batch(examples)
        with halves(self._device, self.settings.precision):
            known = losses(self._model, batch).next_item[batch.worth > 0.0]
        return float(known.mean()) if len(known) else self._loss

    def _batches(self, n_held: int, n: int) -> Sequence[I64]:
        """Ages of the examples of each batch of one epoch, those of similar length together."""
        ages = np.arange(n_held, n)
        if self.settings.recency > 0.0:
            chance = np.exp2(-(ages - n_held) / (self.settings.recency * n))
            ages = ages[self._rng.random(len(ages)) < chance]
        self._rng.shuffle(ages)
        size = self.settings.batch_size
        lengths = self._replay.lengths(ages)
        for start in range(0, len(ages), GROUPED * size):
            group = slice(start, start + GROUPED * size)
            ages[group] = ages[group][np.argsort(lengths[group], kind="stable")]
        starts = np.arange(0, len(ages), size)
        self._rng.shuffle(starts)
        return [ages[start : start + size] for start in starts]

    def _judge(self, held: Examples) -> tuple[float, float]:
        """HR@20 and MRR@20 over all known items, NaN of no examples; not by propagation, which knows what follows."""
        if not len(held.item):
            return nan, nan
        inference = Inference(self._learned(), self.settings, self._device)
        ranks = ranks_of(inference, held)
        among = ranks <= K
        return float(among.mean()), float((among / ranks).mean())

    def _contexts(self) -> dict[str, DynamicTable]:
        return {"queries": self._queries, "segments": self._segments}

    def _tables(self) -> list[DynamicTable]:
        return [*self._tower.tables.values(), *self._contexts().values()]

    def _values(self) -> list[Tensor]:
        held = [table.values for table in self._tables()]
        return [values.detach().clone() for values in (*held, *self._model.state_dict().values())]

    def _restore(self, values: list[Tensor]) -> None:
        held = [table.values for table in self._tables()]
        for to, of in zip((*held, *self._model.state_dict().values()), values, strict=True):
            to.copy_(of)

    def _weights(self) -> dict[str, F32]:
        return {name: _numpy(p) for name, p in self._model.state_dict().items()}


def schedule(done: float, warm_up: float) -> float:
    """Share of the highest step size: rises over ``warm_up``, then falls as half a cosine (SGDR, ICLR 2017)."""
    if done < warm_up:
        return (done + 1e-3) / (warm_up + 1e-3)
    return 0.5 * (1.0 + cos(pi * (done - warm_up) / (1.0 - warm_up)))


def _rows(table: DynamicTable) -> tuple[I32, F32]:
    indexes = table.indexes
    return indexes, table.values[torch.from_numpy(table.rows(indexes).astype(np.int64))].cpu().numpy()


def _joined(examples: list[Examples]) -> Examples:
    if len(examples) == 1:
        return examples[0]
    sequences = Sequences(*(np.concatenate(c) for c in zip(*(e.sequences for e in examples), strict=True)))
    return Examples(sequences, *(np.concatenate(c) for c in zip(*(e[1:] for e in examples), strict=True)))


def _numpy(tensor: Tensor) -> F32:
    return cast(F32, tensor.detach().cpu().numpy().copy())

"""How fast the embedding model learns and answers: ``python tests/bench/embed.py [--device cuda]``.

Examples learned a second (a step of fitting, the optimiser's included) and users answered a second (vectors of users
with a history of 20), by the size of the batch; size 1 is a loop without batching. Items are 40,000, drawn by a power
law, vectors have 64 components.
"""

import argparse
import time
from collections.abc import Callable, Iterable

import numpy as np
import torch
from bench_result import write
from rich.progress import track

from models.embed.inference import Inference
from models.embed.learner import Learner
from models.embed.sequences import Sequences
from models.embed.settings import EmbedSettings
from models.interest.settings import InterestSettings
from models.knowledge.attributes import Attributes
from models.retrieve.contract import Interactions

N_ITEMS, N_USERS, PER_USER = 40_000, 8_000, 25
SECONDS = 6.0
TRAINED, ANSWERED = (1, 32, 128, 512, 2_048), (1, 8, 64, 512)


def attributes() -> Attributes:
    return Attributes(
        np.full(N_ITEMS, -1, np.int32),
        np.full(N_ITEMS, -1, np.int32),
        np.full(N_ITEMS, np.nan, np.float32),
        np.ones(N_ITEMS, np.uint8),
        np.zeros(N_ITEMS),
        np.zeros(N_ITEMS, np.float32),
    )


def interactions(rng: np.random.Generator) -> Interactions:
    n = N_USERS * PER_USER
    return Interactions(
        user=np.tile(np.arange(N_USERS, dtype=np.uint64), PER_USER),
        session=np.zeros(n, np.uint64),
        item=np.minimum(rng.zipf(1.2, n), N_ITEMS).astype(np.int32) - 1,
        kind=np.ones(n, np.uint8),
        time_s=np.repeat(np.arange(PER_USER) * 30.0, N_USERS),
        term=np.full(n, -1, np.int32),
        segment=np.full(n, -1, np.int32),
    )


def learner(batch_size: int, device: str) -> Learner:
    settings = EmbedSettings(batch_size=max(batch_size, 2), min_count=1, epochs=1, max_users=N_USERS)
    made = Learner(settings, N_ITEMS, attributes(), InterestSettings(), device)
    made.observe(interactions(np.random.default_rng(1)), learn=False)
    return made


def rate(step: Callable[[], int], device: str) -> float:
    """Of what ``step`` counts, a second, after a few steps for warming up."""
    for _ in range(3):
        step()
    if device == "cuda":
        torch.cuda.synchronize()
    started, n = time.perf_counter(), 0
    while time.perf_counter() - started < SECONDS:
        n += step()
    if device == "cuda":
        torch.cuda.synchronize()
    return n / (time.perf_counter() - started)


def trained(size: int, device: str) -> float:
    of = learner(size, device)
    rng = np.random.default_rng(2)

    def step() -> int:
        of._learn(of._replay.of(rng.integers(0, of.n_kept, size)), 1e-3)
        return size

    return rate(step, device)


def answered(size: int, device: str, inference: Inference) -> float:
    rng = np.random.default_rng(3)
    none = np.full(size, -1, np.int32)
    asked = Sequences(
        np.minimum(rng.zipf(1.2, (size, 20)), N_ITEMS).astype(np.int32) - 1,
        np.tile(np.arange(20, dtype=np.float32) * 30.0, (size, 1)),
        np.zeros((size, 20), np.uint8),
        none,
        none,
    )

    def step() -> int:
        inference.users(asked)
        return size

    return rate(step, device)


def by_size(sizes: Iterable[int], what: str, measure: Callable[[int], float]) -> dict[str, int]:
    return {str(size): round(measure(size)) for size in track(list(sizes), what)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    of = learner(512, given.device)
    inference = Inference(of.export(), of.settings, given.device)
    figures = {
        "device": torch.cuda.get_device_name() if given.device == "cuda" else f"{given.threads} thread",
        "torch": torch.__version__,
        "items": N_ITEMS,
        "examples_learned_per_s": by_size(TRAINED, "learning", lambda n: trained(n, given.device)),
        "users_answered_per_s": by_size(
            ANSWERED, "answering", lambda n: answered(n, given.device, inference)
        ),
    }
    write("embed" if given.device == "cpu" else "embed_gpu", figures)


if __name__ == "__main__":
    main()

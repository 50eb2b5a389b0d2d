"""Titles to vectors by a sentence encoder, for items to which the catalogue gives none.

::

    catalog.items ──► TitleEncoding.filled ──► KnowledgeBase.describe ──► Learner.give
                              │                        ▲
                              └── titles not met yet ──┘  encoded in a thread, batch by batch

What a shop gives goes before: its items are not encoded.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.embed.settings import EmbedSettings
from models.retrieve.contract import F32
from schemas.catalog import Item
from streams.errors import SettingsError

log = logging.getLogger(__name__)

Entry = tuple[str, Item | None]
"""Id of an item, and what the catalogue says of it; None when it was removed."""

AT_ONCE: Final = 256
"""Titles encoded at a time: about a second of a small transformer on one core."""
MAX_KEPT: Final = 1 << 16
"""Titles whose vectors are kept for the next entry of the same title, such as a change of price."""

READ: Final = ("*.json", "*.txt", "*.model", "*.safetensors")
"""Files of a model of the hub: settings, tokenizer, weights."""
PLAIN: Final = "model.safetensors"
PICKLED: Final = "pytorch_model.bin"
"""What the library reads where ``PLAIN`` is not there."""


class Encoder(Protocol):
    """Text to vectors of one length."""

    def encode(self, titles: Sequence[str]) -> F32:
        """(n, G)"""


class SentenceEncoder:
    """A model of sentence-transformers; its weights are read from safetensors only, and none of its code is run.

    Raises:
        SettingsError: the package is not installed, the model cannot be read, or its vectors are not of
            ``given_dim`` numbers.
    """

    def __init__(self, name: str, given_dim: int, device: str) -> None:
        self._model = _loaded(name, device)
        dim = self.encode(["a title"]).shape[1]
        if dim != given_dim:
            raise SettingsError(
                f"Vectors of embed.sentence_encoder = {name!r} have {dim} numbers, embed.given_dim is {given_dim}.",
                fix=f"Set embed.given_dim = {dim}.",
            )

    def encode(self, titles: Sequence[str]) -> F32:
        """(n, G)"""
        found: NDArray[np.float32] = self._model.encode(list(titles), show_progress_bar=False)
        return found.astype(np.float32, copy=False)


def sentence_encoder(settings: EmbedSettings, device: str) -> SentenceEncoder | None:
    """The one that the settings name, None where they name none. Raises SettingsError, see ``SentenceEncoder``."""
    if not settings.sentence_encoder:
        return None
    return SentenceEncoder(settings.sentence_encoder, settings.given_dim, device)


def _loaded(name: str, device: str) -> Any:
    try:
        from huggingface_hub import snapshot_download
        from sentence_transformers import SentenceTransformer
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"embed.sentence_encoder needs a package that is not installed: {error.name}.",
            fix="Install it: pip install 'rillet[text]'.",
        ) from error
    try:
        folder = name if Path(name).is_dir() else snapshot_download(name, allow_patterns=READ)
        pickled = [path for path in Path(folder).rglob(PICKLED) if not path.with_name(PLAIN).exists()]
        if pickled:
            raise ValueError(f"{pickled[0].name} is pickled")
        return SentenceTransformer(folder, device=device, model_kwargs={"use_safetensors": True})
    except (OSError, ValueError, RuntimeError) as error:
        raise SettingsError(
            f"embed.sentence_encoder = {name!r} cannot be read: {error}",
            fix="Name a folder that holds a sentence-transformers model with model.safetensors in it, or a model of "
            "the hub that this machine reaches.",
        ) from error


class TitleEncoding:
    """Describes items again once their titles are encoded; the event loop turns in between.

    At most ``max_items`` wait, the latest ones: a knowledge base of that many items has forgotten those before.
    """

    def __init__(self, encoder: Encoder, describe: Callable[[list[Entry]], None], max_items: int) -> None:
        self._encoder, self._describe, self._max_items = encoder, describe, max_items
        self._waiting: dict[str, Item] = {}
        self._kept: dict[str, NDArray[np.float16]] = {}
        self._some, self._none = asyncio.Event(), asyncio.Event()
        self._none.set()
        self.n_encoded = 0

    def filled(self, entries: Iterable[Entry]) -> list[Entry]:
        """The same, with a vector where the title was met before; those of other titles follow by ``describe``."""
        found = [(item_id, self._filled(item_id, item)) for item_id, item in entries]
        self._tell()
        return found

    async def done(self) -> None:
        """Wait until no title waits."""
        await self._none.wait()

    async def run(self) -> None:
        """Encode for ever."""
        while True:
            await self._some.wait()
            started, before = time.monotonic(), self.n_encoded
            while self._waiting:
                await self._encode(list(islice(self._waiting.items(), AT_ONCE)))
            self._tell()
            log.info("titles_encoded n=%d seconds=%.1f", self.n_encoded - before, time.monotonic() - started)

    async def _encode(self, batch: list[tuple[str, Item]]) -> None:
        titles = list(dict.fromkeys(item.title for _, item in batch if item.title))
        vectors = await asyncio.to_thread(self._encoder.encode, titles)
        self.n_encoded += len(titles)
        for title, vector in zip(titles, vectors, strict=True):
            self._keep(title, vector.astype(np.float16))
        fresh = [(item_id, item) for item_id, item in batch if self._waiting.get(item_id) is item]
        self._describe([(item_id, self._filled(item_id, item)) for item_id, item in fresh])

    def _filled(self, item_id: str, item: Item | None) -> Item | None:
        self._waiting.pop(item_id, None)
        if item is None or item.vector is not None or not item.title:
            return item
        kept = self._kept.get(item.title)
        if kept is not None:
            return msgspec.structs.replace(item, vector=kept.tolist())
        self._waiting[item_id] = item
        if len(self._waiting) > self._max_items:
            del self._waiting[next(iter(self._waiting))]
        return item

    def _keep(self, title: str, vector: NDArray[np.float16]) -> None:
        self._kept[title] = vector
        if len(self._kept) > MAX_KEPT:
            del self._kept[next(iter(self._kept))]

    def _tell(self) -> None:
        """Wake those who wait for some, or for none."""
        some, none = (self._some, self._none) if self._waiting else (self._none, self._some)
        some.set()
        none.clear()

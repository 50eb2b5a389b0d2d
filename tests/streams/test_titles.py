"""Titles become vectors beside the trainer's loop, and what a shop gives goes before."""

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from schemas import topics
from schemas.catalog import Item
from streams.broker import KafkaBroker
from streams.errors import SettingsError
from streams.follow import FollowedRecord
from streams.settings import load
from streams.titles import AT_ONCE, Entry, SentenceEncoder, TitleEncoding, sentence_encoder

pytest.importorskip("torch")

TIME_MS = 1_700_000_000_000


def item(item_id: str, **more: object) -> Item:
    return Item(**{"item_id": item_id, "time_ms": TIME_MS, **more})


class Lengths:
    """Says of a title how long it is; waits for ``may`` before it does."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.may = threading.Event()
        self.may.set()

    def encode(self, titles: Sequence[str]) -> np.ndarray:
        assert self.may.wait(30)
        self.asked.append(list(titles))
        return np.array([[len(title), 1.0] for title in titles], np.float32)


class Described:
    """What was said of items, with the latest entry of each."""

    def __init__(self) -> None:
        self.latest: dict[str, Item | None] = {}
        self.batches: list[int] = []

    def __call__(self, entries: list[Entry]) -> None:
        self.batches.append(len(entries))
        self.latest |= dict(entries)

    def vector(self, item_id: str) -> list[float] | None:
        found = self.latest[item_id]
        return found.vector if found else None


async def after(encoding: TitleEncoding, described: Described, *batches: list[Entry]) -> None:
    """Hear of the batches, one after the other as the loop turns, until nothing waits."""
    task = asyncio.create_task(encoding.run())
    for batch in batches:
        described(encoding.filled(batch))
        await asyncio.sleep(0)
    await encoding.done()
    task.cancel()


def of(*items: Item) -> list[Entry]:
    return [(each.item_id, each) for each in items]


def test_only_items_that_come_without_a_vector_and_with_a_title_are_encoded() -> None:
    encoder, described = Lengths(), Described()

    async def run() -> None:
        given, bare = item("given", title="shoe", vector=[5.0, 5.0]), item("bare")
        entries = [*of(item("a", title="hat"), given, bare), ("gone", None)]
        await after(TitleEncoding(encoder, described, 100), described, entries)

    asyncio.run(run())
    assert encoder.asked == [["hat"]]
    assert described.vector("a") == [3.0, 1.0]
    assert described.vector("given") == [5.0, 5.0]
    assert described.vector("bare") is None
    assert described.latest["gone"] is None


def test_a_title_met_before_has_its_vector_at_once() -> None:
    encoder, described = Lengths(), Described()

    async def run() -> None:
        encoding = TitleEncoding(encoder, described, 100)
        await after(encoding, described, of(item("a", title="hat", price=1.0)))
        dearer, alike = encoding.filled(of(item("a", title="hat", price=2.0), item("b", title="hat")))
        assert dearer[1] == item("a", title="hat", price=2.0, vector=[3.0, 1.0])
        assert alike[1] == item("b", title="hat", vector=[3.0, 1.0])

    asyncio.run(run())
    assert encoder.asked == [["hat"]]


@pytest.mark.parametrize("later", [None, item("a", title="boot", vector=[9.0, 9.0]), item("a")])
def test_what_the_catalogue_says_meanwhile_stays(later: Item | None) -> None:
    encoder, described = Lengths(), Described()
    encoder.may.clear()

    async def run() -> None:
        encoding = TitleEncoding(encoder, described, 100)
        task = asyncio.create_task(encoding.run())
        described(encoding.filled(of(item("a", title="hat"), item("b", title="shoe"))))
        await asyncio.sleep(0)
        described(encoding.filled([("a", later)]))
        encoder.may.set()
        while described.vector("b") is None:
            await asyncio.sleep(0.001)
        task.cancel()

    asyncio.run(run())
    assert described.latest["a"] == later


def test_the_loop_turns_while_a_catalogue_is_encoded_batch_by_batch() -> None:
    encoder, described = Lengths(), Described()
    n = 2 * AT_ONCE + 1

    async def run() -> None:
        await after(
            TitleEncoding(encoder, described, n),
            described,
            of(*(item(f"i{at}", title=f"{'x' * (at % 90)} {at}") for at in range(n))),
        )

    asyncio.run(run())
    assert [len(titles) for titles in encoder.asked] == [AT_ONCE, AT_ONCE, 1]
    assert described.batches == [n, AT_ONCE, AT_ONCE, 1]
    assert all(described.vector(f"i{at}") for at in range(n))


def test_no_more_items_wait_than_are_known() -> None:
    encoder, described = Lengths(), Described()

    async def run() -> None:
        await after(TitleEncoding(encoder, described, 2), described, of(*(item(c, title=c) for c in "abc")))

    asyncio.run(run())
    assert encoder.asked == [["b", "c"]]


def test_the_trainer_says_how_to_mend_vectors_of_another_length(caplog: pytest.LogCaptureFixture) -> None:
    from streams.trainer import Trainer

    def failed(error: BaseException) -> None:
        raise error

    embed = {"ENABLED": "true", "DIM": "16", "GIVEN_DIM": "3"}
    trainer = Trainer(load(environ={f"RILLET_EMBED__{k}": v for k, v in embed.items()}), failed, "cpu")

    def say(*items: Item) -> None:
        trainer._apply_catalogue(
            [
                FollowedRecord(
                    topics.ITEMS, 0, at, TIME_MS, each.item_id.encode(), msgspec.json.encode(each), ()
                )
                for at, each in enumerate(items)
            ]
        )

    caplog.set_level(logging.WARNING)
    say(item("a", vector=[1.0, 2.0, 3.0]), item("b", vector=[1.0], category="c"), item("d", vector=[2.0]))
    assert len(trainer.learner.given) == 1
    assert trainer.knowledge.facts_of("b") is not None, "the rest of the entry is taken"
    (warning,) = [each.getMessage() for each in caplog.records]
    assert warning.startswith("vectors_unfit n=2 given_dim=3 length=1: set embed.given_dim")
    say(item("e", vector=[1.0]))
    assert len(caplog.records) == 1, "told again once there are more than twice as many"
    assert trainer._snapshot()[3].metrics["n_unfit"] == 3.0


@pytest.mark.timeout(300)
def test_a_trainer_on_a_broker_encodes_the_catalogue_and_what_changes(
    own_kafka: KafkaBroker, tmp_path: Path
) -> None:
    from streams.trainer import Trainer

    servers = own_kafka.bootstrap_servers
    names = [topics.VERSIONS, topics.ITEMS, topics.INTERACTIONS]
    admin = AdminClient({"bootstrap.servers": servers})
    for each in admin.create_topics([NewTopic(name, 1, 1) for name in names]).values():
        each.result(30)
    producer = Producer({"bootstrap.servers": servers, "linger.ms": 0})

    def say(*items: Item) -> None:
        for each in items:
            producer.produce(
                topics.ITEMS, msgspec.json.encode(each), each.item_id.encode(), timestamp=TIME_MS
            )
        assert producer.flush(30) == 0

    settings = load(
        environ={
            "RILLET_BOOTSTRAP_SERVERS": servers,
            "RILLET_SNAPSHOTS__URL": str(tmp_path / "models"),
            "RILLET_EMBED__ENABLED": "true",
            "RILLET_EMBED__GIVEN_DIM": "2",
        }
    )
    say(*(item(f"i{at}", title="x" * at) for at in range(1, 301)), item("own", title="x", vector=[0.0, 1.0]))

    async def main() -> None:
        failures: list[BaseException] = []
        trainer = Trainer(settings, failures.append, "cpu", encoder=Lengths())

        def is_of(item_id: str, length: float) -> bool:
            at = trainer.knowledge.vocabularies.items.lookup([item_id])
            unit = np.array([length, 1.0]) / np.hypot(length, 1.0)
            return np.allclose(trainer.learner.given.gather(at)[0], unit, atol=2e-3)

        async def until(condition: Callable[[], bool]) -> None:
            async with asyncio.timeout(120):
                while not condition():
                    assert not failures
                    await asyncio.sleep(0.02)

        work = asyncio.create_task(trainer.run())
        await until(lambda: len(trainer.learner.given) == 301)
        assert is_of("i7", 7.0)
        assert is_of("own", 0.0)
        say(item("i7", title="shoe"), item("own", title="hat"))
        await until(lambda: is_of("i7", 4.0) and is_of("own", 3.0))
        work.cancel()
        await asyncio.wait([work])

    asyncio.run(main())


def small_model(folder: Path) -> str:
    """A model of the library: a vector a word, drawn, and a title is their mean."""
    pytest.importorskip("sentence_transformers")
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {word: at for at, word in enumerate(["[UNK]", "red", "blue", "shoe", "hat"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=24)]).save(str(folder))
    return str(folder)


def test_a_model_of_the_library_tells_like_titles_from_others(tmp_path: Path) -> None:
    name = small_model(tmp_path / "model")
    encoder = sentence_encoder(
        load(environ={"RILLET_EMBED__SENTENCE_ENCODER": name, "RILLET_EMBED__GIVEN_DIM": "24"}).embed,
        "cpu",
    )
    assert encoder is not None
    vectors = encoder.encode(["red shoe", "shoe red", "blue hat"])
    assert (vectors.shape, vectors.dtype) == ((3, 24), np.float32)
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-6)
    assert not np.allclose(vectors[0], vectors[2])


def test_vectors_of_another_length_than_given_dim_are_refused_before_anything_starts(tmp_path: Path) -> None:
    name = small_model(tmp_path / "model")
    with pytest.raises(
        SettingsError, match=r"have 24 numbers, embed.given_dim is 12.\n  fix: Set embed.given_dim = 24"
    ):
        SentenceEncoder(name, 12, "cpu")


def test_a_model_that_cannot_be_read_is_a_refused_setting(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    with pytest.raises(SettingsError, match="cannot be read"):
        SentenceEncoder(str(tmp_path / "nowhere"), 12, "cpu")


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    folder = Path(small_model(tmp_path / "model"))
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(SettingsError, match=r"pytorch_model.bin is pickled"):
        SentenceEncoder(str(folder), 24, "cpu")


def test_a_model_with_code_of_its_own_is_refused(tmp_path: Path) -> None:
    folder = Path(small_model(tmp_path / "model"))
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["type"] = "own.Module"
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "own.py").write_text("raise SystemExit('it ran')")
    with pytest.raises(SettingsError, match=r"own.Module"):
        SentenceEncoder(str(folder), 24, "cpu")


def test_none_is_loaded_where_none_is_named() -> None:
    assert sentence_encoder(load(environ={}).embed, "cpu") is None

"""Snapshots are there whole or not at all, and nothing that is not what its manifest says is ever handed out."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import fsspec
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_strategies

from schemas.snapshots import About, ArrayShape, Manifest, NextOffset
from streams.commands.models import app
from streams.errors import InputError
from streams.snapshots import names, tensors
from streams.snapshots.errors import SnapshotBrokenError, SnapshotMissingError, StoreUnreachableError
from streams.snapshots.settings import SnapshotSettings
from streams.snapshots.store import Part, SnapshotStore
from streams.snapshots.version import created_ms, is_version, version_of

NOW_MS = 1_795_391_401_123  # 2026-11-22T23:50:01.123Z
MINUTE_MS = 60_000
ABOUT = About(
    model="embedding",
    features=2,
    settings={"dim": 4, "layers": 1},
    offsets=[NextOffset(topic="knowledge.interactions", partition=0, offset=4_711)],
    metrics={"loss": 6.25, "n_examples": 2_048.0, "never_measured": float("nan")},
)


class Clock:
    def __init__(self) -> None:
        self.now_ms = NOW_MS

    def __call__(self) -> int:
        return self.now_ms


def a_model(seed: int = 0, n: int = 5) -> Part:
    rng = np.random.default_rng(seed)
    arrays = {
        "vectors": rng.standard_normal((n, 4), np.float32),
        "half": rng.standard_normal(3).astype(np.float16),
        "codes": rng.integers(-128, 128, (n, 3), np.int8),
        "rows": np.arange(n, dtype=np.int32),
        "moments": rng.standard_normal(2),
        "none": np.zeros((0, 7), np.float32),
        "single": np.array(3, np.int64),
    }
    return Part(arrays, {"items": [f"boot-{i}-ä" for i in range(n)], "queries": ["red boot"]})


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """Address of a server that speaks the protocol of S3."""
    pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3: str, monkeypatch: pytest.MonkeyPatch, unique: Callable[[str], str]) -> str:
    """URL of one of the test's own."""
    name = unique("shop")
    as_user_of(s3, monkeypatch)
    fsspec.filesystem("s3").mkdir(name)
    return f"s3://{name}"


def as_user_of(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients made from here on talk to ``address``."""
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    for name, value in {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(params=["disk", "memory", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path, unique: Callable[[str], str]) -> str:
    match request.param:
        case "disk":
            return str(tmp_path / "models")
        case "memory":
            return f"memory://{unique('models')}"
        case _:
            return f"{request.getfixturevalue('bucket')}/models"


@pytest.fixture
def store(url: str, clock: Clock) -> SnapshotStore:
    return SnapshotStore(SnapshotSettings(url=url, keep=2), clock)


def change(url: str, path: str, edit: Callable[[bytes], bytes]) -> None:
    """Put other bytes in the place of a file."""
    files, root = fsspec.url_to_fs(url)
    files.pipe_file(f"{root}/{path}", edit(files.cat_file(f"{root}/{path}")))


def forge(url: str, version: str, edit: Callable[[dict[str, object]], object]) -> None:
    """Change the manifest, as one might who means harm."""

    def edited(content: bytes) -> bytes:
        manifest = json.loads(content)
        edit(manifest)
        return json.dumps(manifest).encode()

    change(url, f"{version}/manifest.json", edited)


def same(one: Part, arrays: tensors.Arrays, ids: names.Names) -> bool:
    return ids == one.names and all(
        array.dtype == arrays[name].dtype and np.array_equal(array, arrays[name])
        for name, array in one.arrays.items()
    )


def test_what_is_written_is_read_and_may_be_written_to(store: SnapshotStore) -> None:
    manifest = store.write(a_model(), ABOUT, trainer=a_model(seed=1, n=9))
    snapshot = store.read(manifest.version)
    assert same(a_model(), snapshot.arrays, snapshot.names)
    snapshot.arrays["vectors"][0] = 0.0
    trainer = store.read_trainer(manifest.version)
    assert trainer is not None
    assert same(a_model(seed=1, n=9), dict(trainer.arrays), dict(trainer.names))  # type: ignore[arg-type]


def test_the_manifest_tells_what_there_is(store: SnapshotStore, url: str) -> None:
    parent = store.write(a_model(), ABOUT).version
    manifest = store.write(a_model(), msgspec.structs.replace(ABOUT, parent=parent))
    assert store.manifest(manifest.version) == manifest
    assert (manifest.created_ms, manifest.parent, manifest.features) == (NOW_MS + 1, parent, 2)
    assert manifest.metrics == {"loss": 6.25, "n_examples": 2_048.0}
    assert manifest.settings_digest == sha256(b'{"dim":4,"layers":1}').hexdigest()
    assert manifest.parts["model"].arrays["vectors"] == ArrayShape(dtype="float32", shape=[5, 4])
    assert manifest.parts["model"].n_names == {"items": 5, "queries": 1}
    files, root = fsspec.url_to_fs(url)
    for name, file in manifest.files.items():
        content = files.cat_file(f"{root}/{manifest.version}/{name}")
        assert (len(content), sha256(content).hexdigest()) == (file.size_bytes, file.checksum)
    assert store.read_trainer(manifest.version) is None


def test_an_announcement_binds_the_manifest(store: SnapshotStore, url: str) -> None:
    version = store.write(a_model(), ABOUT).version
    announced = store.announcement(version)
    assert (announced.url, announced.metrics) == (url, {"loss": 6.25, "n_examples": 2_048.0})
    assert store.read(version, announced.checksum).manifest.version == version
    forge(url, version, lambda manifest: manifest.update(features=3))
    with pytest.raises(SnapshotBrokenError, match=rf"SHA-256 {announced.checksum}, as announced, found"):
        store.read(version, announced.checksum)


@given(
    st.dictionaries(
        st.text(max_size=8),
        st.sampled_from([np.float64, np.float32, np.float16, np.int32, np.int8, np.uint8, np.bool_]).flatmap(
            lambda dtype: numpy_strategies.arrays(
                dtype, numpy_strategies.array_shapes(min_dims=0, min_side=0)
            )
        ),
        max_size=5,
    )
)
@hypothesis_settings(max_examples=100, deadline=None)
def test_any_arrays_survive_aligned(
    tmp_path_factory: pytest.TempPathFactory, arrays: dict[str, np.ndarray]
) -> None:
    path = tmp_path_factory.mktemp("arrays") / "f"
    tensors.write(path, arrays)
    read = tensors.read("f", path, tensors.shapes_of(arrays))
    assert read.keys() == arrays.keys()
    for name, array in arrays.items():
        assert (read[name].dtype, read[name].shape) == (array.dtype, array.shape)
        assert read[name].tobytes() == array.tobytes()
        assert read[name].flags.aligned


def test_large_arrays_survive_piece_by_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensors, "PIECE_BYTES", 100)
    # Rows of 12 bytes, 8 a piece, the last piece of 1; rows of 404 bytes, each a piece of its own.
    arrays = {
        "many": np.arange(75, dtype=np.float32).reshape(25, 3),
        "wide": np.arange(202).reshape(2, 101).astype(np.int32),
    }
    tensors.write(tmp_path / "f", arrays)
    read = tensors.read("f", tmp_path / "f", tensors.shapes_of(arrays))
    assert same(Part(arrays, {}), read, {})


@given(st.binary(max_size=64))
@hypothesis_settings(max_examples=200, deadline=None)
def test_no_bytes_make_the_readers_fail_otherwise(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("bytes") / "f"
    path.write_bytes(content)
    with pytest.raises(SnapshotBrokenError):
        tensors.read("f", path, {"a": ArrayShape(dtype="int8", shape=[1])})
    with pytest.raises(SnapshotBrokenError):
        names.read("f", content, {"items": 1})


@pytest.mark.parametrize("n", [0, 1, names.PIECE, 2 * names.PIECE + 1])
def test_lists_of_any_length_survive(n: int) -> None:
    ids = [f"i{i}" for i in range(n)]
    content = names.written({"items": ids})
    assert names.read("f", content, {"items": n}) == {"items": ids}
    with pytest.raises(SnapshotBrokenError, match="lengths"):
        names.read("f", content, {"items": n + 1})


def test_an_array_of_objects_is_refused(store: SnapshotStore) -> None:
    with pytest.raises(TypeError, match="'vectors' is of object"):
        store.write(Part({"vectors": np.array([{}])}, {}), ABOUT)
    assert store.versions() == []


def test_a_model_that_is_too_large_is_refused_before_anything_is_written(url: str) -> None:
    store = SnapshotStore(SnapshotSettings(url=url, max_bytes=1 << 20))
    with pytest.raises(InputError, match=r"1,048,580 bytes is larger than snapshots\.max_bytes = 1,048,576"):
        store.write(Part({"vectors": np.zeros((1 << 18) + 1, np.float32)}, {}), ABOUT)
    assert store.versions() == []


@pytest.mark.parametrize("file", ["model.safetensors", "model.msgpack"])
def test_a_changed_byte_is_found(store: SnapshotStore, url: str, file: str) -> None:
    version = store.write(a_model(), ABOUT).version
    change(url, f"{version}/{file}", lambda content: content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(
        SnapshotBrokenError, match=rf"{version}/{file} is broken: expected SHA-256 \w+, found"
    ):
        store.read(version)


def test_a_truncated_file_is_found_by_its_size(store: SnapshotStore, url: str) -> None:
    manifest = store.write(a_model(), ABOUT)
    size = manifest.files["model.safetensors"].size_bytes
    change(url, f"{manifest.version}/model.safetensors", lambda content: content[:-1])
    with pytest.raises(SnapshotBrokenError, match=f"expected {size:,} bytes, found {size - 1:,}"):
        store.read(manifest.version)


def test_a_missing_file_is_told_with_what_there_is(store: SnapshotStore, url: str) -> None:
    whole, broken = store.write(a_model(), ABOUT).version, store.write(a_model(), ABOUT).version
    files, root = fsspec.url_to_fs(url)
    files.rm_file(f"{root}/{broken}/model.safetensors")
    with pytest.raises(SnapshotMissingError, match=rf"no version {broken} .*there are: {broken}, {whole}\."):
        store.read(broken)


def test_a_manifest_of_other_shapes_is_found(store: SnapshotStore, url: str) -> None:
    version = store.write(a_model(), ABOUT).version
    shape = ["parts", "model", "arrays", "vectors", "shape"]

    def edit(manifest: dict[str, object]) -> None:
        *path, last = shape
        inner: dict[str, object] = manifest
        for name in path:
            inner = inner[name]  # type: ignore[assignment]
        inner[last] = [4, 5]

    forge(url, version, edit)
    with pytest.raises(
        SnapshotBrokenError, match=r"'vectors' as \('F32', \[4, 5\]\), found \('F32', \[5, 4\]\)"
    ):
        store.read(version)


def test_a_claim_of_more_than_is_allowed_is_refused_before_anything_is_read(
    store: SnapshotStore, url: str
) -> None:
    version = store.write(a_model(), ABOUT).version
    forge(url, version, lambda m: m["files"]["model.safetensors"].update(size_bytes=1 << 60))  # type: ignore[index]
    with pytest.raises(
        SnapshotBrokenError, match=r"at most 4,294,967,296 bytes \(snapshots\.max_bytes\), found"
    ):
        store.read(version)


def test_a_claim_of_more_than_there_is_is_refused_before_anything_is_read(
    store: SnapshotStore, url: str
) -> None:
    version = store.write(a_model(), ABOUT).version
    forge(url, version, lambda m: m["files"]["model.safetensors"].update(size_bytes=1 << 30))  # type: ignore[index]
    with pytest.raises(SnapshotBrokenError, match="expected 1,073,741,824 bytes, found"):
        store.read(version)


@pytest.mark.parametrize(
    ("entry", "content"),
    [
        ({"dtype": "I8", "shape": [2], "data_offsets": [1, 3]}, b"abc"),
        ({"dtype": "I8", "shape": [2], "data_offsets": [0, 2]}, b"abc"),
        ({"dtype": "I8", "shape": [2], "data_offsets": [0, 2]}, b"a"),
        ({"dtype": "U8", "shape": [2], "data_offsets": [0, 2]}, b"ab"),
        ({"dtype": "I8", "shape": [2], "data_offsets": [0, 1]}, b"a"),
        ({"dtype": "O", "shape": [2], "data_offsets": [0, 2]}, b"ab"),
        ({"dtype": "I8", "shape": [0, 1 << 62, 1 << 62], "data_offsets": [0, 0]}, b""),
    ],
)
def test_arrays_that_lie_elsewhere_are_told(tmp_path: Path, entry: dict[str, object], content: bytes) -> None:
    header = json.dumps({"a": entry}).encode()
    (tmp_path / "f").write_bytes(len(header).to_bytes(8, "little") + header + content)
    with pytest.raises(SnapshotBrokenError, match="f is broken: expected "):
        tensors.read("f", tmp_path / "f", {"a": ArrayShape(dtype="int8", shape=[2])})


def test_an_empty_array_of_monstrous_shape_is_told(tmp_path: Path) -> None:
    shape = [0, 1 << 62, 1 << 62]
    header = json.dumps({"a": {"dtype": "I8", "shape": shape, "data_offsets": [0, 0]}}).encode()
    (tmp_path / "f").write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(SnapshotBrokenError):
        tensors.read("f", tmp_path / "f", {"a": ArrayShape(dtype="int8", shape=shape)})


def test_no_room_for_the_copy_is_told(
    store: SnapshotStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.raises(StoreUnreachableError, match="cannot be used"):
        store.write(a_model(), ABOUT)
    assert store.versions() == []


@pytest.mark.parametrize(
    "edit",
    [
        lambda content: b"",
        lambda content: b"[" * 100_000,
        lambda content: content.replace(b'"layout": 1', b'"layout": 2'),
        lambda content: content.replace(b'"float32"', b'"object"'),
        lambda content: content.replace(b'"model":', b'"modell":'),
        lambda content: content.replace(b'"model.safetensors"', b'"../../etc/passwd"'),
    ],
)
def test_a_manifest_that_is_none_is_told(
    store: SnapshotStore, url: str, edit: Callable[[bytes], bytes]
) -> None:
    version = store.write(a_model(), ABOUT).version
    change(url, f"{version}/manifest.json", edit)
    with pytest.raises(SnapshotBrokenError, match=r"manifest\.json is broken: expected"):
        store.read(version)


def test_a_folder_under_another_name_is_told(store: SnapshotStore, url: str) -> None:
    version, other = store.write(a_model(), ABOUT).version, version_of(NOW_MS)
    files, root = fsspec.url_to_fs(url)
    files.makedirs(f"{root}/{other}")
    files.cp_file(f"{root}/{version}/manifest.json", f"{root}/{other}/manifest.json")
    with pytest.raises(
        SnapshotBrokenError, match=f"expected {other} in layout 1, found {version} in layout 1"
    ):
        store.read(other)


@pytest.mark.parametrize(
    "version", ["", "../x", "20261122T235001123-9f3a2c/../x", "99999999T999999999-ffffff"]
)
def test_what_is_no_version_is_never_looked_for(store: SnapshotStore, version: str) -> None:
    with pytest.raises(SnapshotMissingError, match="there are: none"):
        store.read(version)


def test_without_a_manifest_there_is_no_version(store: SnapshotStore, url: str) -> None:
    whole = store.write(a_model(), ABOUT).version
    half = store.write(a_model(), ABOUT).version
    files, root = fsspec.url_to_fs(url)
    files.rm_file(f"{root}/{half}/manifest.json")
    assert [manifest.version for manifest in store.versions()] == [whole]
    with pytest.raises(SnapshotMissingError):
        store.read(half)


KILLED = """
import os, sys
import numpy as np
from schemas.snapshots import About
from streams.snapshots import place
from streams.snapshots.place import Place
from streams.snapshots.settings import SnapshotSettings
from streams.snapshots.store import Part, SnapshotStore
write, n_left = Place.write, int(sys.argv[2])
def killed(*arguments):
    global n_left
    if n_left == 0:
        os._exit(9)
    n_left -= 1
    return write(*arguments)
Place.write = killed
place._sync = lambda _: os._exit(9)
store = SnapshotStore(SnapshotSettings(url=sys.argv[1]), lambda: int(sys.argv[3]))
model = Part({"vectors": np.zeros((5, 4), np.float32)}, {"items": list("abcde")})
store.write(model, About(model="embedding", features=2, settings={}))
"""


@pytest.mark.parametrize("n_files", [0, 1, 2, 3])
def test_a_writer_killed_between_files_leaves_nothing_for_readers_and_goes_later(
    tmp_path: Path, clock: Clock, n_files: int
) -> None:
    store = SnapshotStore(SnapshotSettings(url=str(tmp_path)), clock)
    whole = store.write(a_model(), ABOUT).version
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), str(n_files), str(NOW_MS)], timeout=60
    )
    assert done.returncode == 9
    (half,) = (each for each in os.listdir(tmp_path) if each != whole)
    assert len(os.listdir(tmp_path / half)) == n_files
    assert [manifest.version for manifest in store.versions()] == [whole]
    clock.now_ms += 59 * MINUTE_MS
    store.prune([])
    assert half in os.listdir(tmp_path)
    clock.now_ms += 2 * MINUTE_MS
    store.prune([])
    assert os.listdir(tmp_path) == [whole]


def test_what_failed_to_be_written_is_removed(
    store: SnapshotStore, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("streams.snapshots.names.written", full)
    with pytest.raises(StoreUnreachableError, match=r"No space left(.|\n)*fix: Check snapshots\.url"):
        store.write(a_model(), ABOUT)
    files, root = fsspec.url_to_fs(url)
    assert [each for each in files.find(root) if not files.isdir(each)] == []
    assert store.versions() == []


def test_a_place_that_refuses_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    store = SnapshotStore(SnapshotSettings(url=str(tmp_path / "file" / "models")))
    with pytest.raises(StoreUnreachableError, match=r"file/models cannot be used: "):
        store.write(a_model(), ABOUT)


def test_an_object_store_that_does_not_answer_is_told(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    as_user_of(address, monkeypatch)
    store = SnapshotStore(SnapshotSettings(url=f"{bucket}/models"))
    with pytest.raises(StoreUnreachableError, match=f"{bucket}/models cannot be used: "):
        store.write(a_model(), ABOUT)
    with pytest.raises(StoreUnreachableError, match=f"{bucket}/models cannot be used: "):
        store.read(version_of(NOW_MS))


def test_a_url_that_nothing_knows_is_told() -> None:
    with pytest.raises(InputError, match="nonsense://bucket/models is no place for snapshots"):
        SnapshotStore(SnapshotSettings(url="nonsense://bucket/models"))


def test_writers_at_the_same_time_do_not_meet(url: str, clock: Clock) -> None:
    stores = [SnapshotStore(SnapshotSettings(url=url), clock) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        jobs = [threads.submit(stores[i % 4].write, a_model(seed=i), ABOUT) for i in range(12)]
    written = {job.result().version: i for i, job in enumerate(jobs)}
    assert len(written) == 12
    assert [manifest.version for manifest in stores[0].versions()] == sorted(written)
    for version, i in written.items():
        snapshot = stores[0].read(version)
        assert same(a_model(seed=i), snapshot.arrays, snapshot.names)


def test_versions_ascend_though_the_clock_goes_back(store: SnapshotStore, clock: Clock) -> None:
    first = store.write(a_model(), ABOUT)
    clock.now_ms -= 60 * MINUTE_MS
    second = store.write(a_model(), ABOUT)
    assert first.version < second.version
    assert second.created_ms == first.created_ms + 1


@given(st.integers(0, 4_102_444_799_999))
def test_a_version_is_its_time(time_ms: int) -> None:
    version = version_of(time_ms)
    assert is_version(version)
    assert created_ms(version) == time_ms
    assert version < version_of(time_ms + 1)


def test_pruning_keeps_the_newest_the_protected_and_the_young(
    store: SnapshotStore, clock: Clock, url: str
) -> None:
    versions = []
    for _ in range(6):
        versions.append(store.write(a_model(), ABOUT).version)
        clock.now_ms += 10_000
    # keep = 2; nothing is older than a minute but, at the end, the first
    clock.now_ms += 1
    assert store.expired(set()) == versions[:1]
    clock.now_ms += 10 * MINUTE_MS
    protected = {versions[0], versions[2]}
    assert store.expired(protected) == [versions[1], versions[3]]
    store.prune([versions[1], versions[3]])
    left = [versions[0], versions[2], versions[4], versions[5]]
    assert [manifest.version for manifest in store.versions()] == left
    files, root = fsspec.url_to_fs(url)
    assert {path.rpartition("/")[2] for path in files.ls(root, detail=False)} == set(left)
    with pytest.raises(SnapshotMissingError):
        store.read(versions[1])


def test_pruning_leaves_alone_what_is_not_its_own(tmp_path: Path, clock: Clock) -> None:
    store = SnapshotStore(SnapshotSettings(url=str(tmp_path)), clock)
    (tmp_path / "notes").mkdir()
    (tmp_path / "README").write_text("mine")
    clock.now_ms += 600 * MINUTE_MS
    assert store.expired(set()) == []
    store.prune([])
    assert {path.name for path in tmp_path.iterdir()} == {"notes", "README"}


def test_a_version_that_goes_while_it_is_read_is_told(
    store: SnapshotStore, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = store.write(a_model(), ABOUT).version
    manifest_of = SnapshotStore.manifest

    def removed(self: SnapshotStore, *arguments: str | None) -> Manifest:
        manifest = manifest_of(self, *arguments)  # type: ignore[arg-type]
        files, root = fsspec.url_to_fs(url)
        files.rm(f"{root}/{version}", recursive=True)
        return manifest

    monkeypatch.setattr(SnapshotStore, "manifest", removed)
    with pytest.raises(SnapshotMissingError, match="there are: none"):
        store.read(version)


def test_the_page_names_every_field_of_the_manifest_and_every_command() -> None:
    page = (Path(__file__).parents[2] / "docs" / "snapshots.md").read_text()
    assert [name for name in Manifest.__struct_fields__ if f"`{name}`" not in page] == []
    commands = [each.name or each.callback.__name__ for each in app.registered_commands if each.callback]
    assert [name for name in commands if f"rillet models {name}" not in page] == []
    settings = [f"snapshots.{name}" for name in SnapshotSettings.model_fields]
    assert [name for name in settings if f"`{name}`" not in page] == []

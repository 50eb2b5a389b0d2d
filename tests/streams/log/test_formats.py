"""The same events come out of every format, packed or not, local or remote."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import fsspec
import pyarrow
import pytest
import zstandard
from pyarrow import parquet

from schemas.events import Browse, Click, Dwell, Impression, Purchase, Rating, Search
from streams.errors import InputError
from streams.log import Log, read_log

MAPPING = """
[columns]
user = "user"
item = "item"
query = "query"
price = "price"
platform = "device"

[time]
column = "at"
format = "ms"

[kind]
column = "kind"
values = { look = "view", find = "search" }

[id]
column = "id"

[constants]
store_id = "s1"
"""
COLUMNS = ("id", "user", "item", "query", "price", "device", "at", "kind")
ROWS = [
    ("e1", "ann", "11", "", "1.5", "app", "1700000000000", "look"),
    ("e2", "ann", "", "lämp, red", "", "", "1700000001000", "find"),
    ("e3", "", "12", "", "", "", "1700000002000", "look"),
]
EVENTS = [
    Browse(
        event_id="e1",
        user_id="ann",
        time_ms=1_700_000_000_000,
        item_id="11",
        price=1.5,
        platform="app",
        store_id="s1",
    ),
    Search(event_id="e2", user_id="ann", time_ms=1_700_000_001_000, query="lämp, red"),
]


def delimited(separator: str) -> bytes:
    lines = [COLUMNS, *ROWS]
    quoted = [[f'"{value}"' if separator in value else value for value in line] for line in lines]
    return ("\n".join(separator.join(line) for line in quoted) + "\n").encode()


def json_lines() -> bytes:
    objects = [{k: v for k, v in zip(COLUMNS, row, strict=True) if v} for row in ROWS]
    for each in objects:
        each |= {"price": 1.5, "at": int(each["at"])} if "price" in each else {"at": int(each["at"])}
    return ("\n".join(json.dumps(each) for each in objects) + "\n").encode()


WRITTEN: dict[str, Callable[[], bytes]] = {
    "a.csv": lambda: delimited(","),
    "a.tsv": lambda: delimited("\t"),
    "a.jsonl": json_lines,
    "a.csv.gz": lambda: gzip.compress(delimited(",")),
    "a.jsonl.zst": lambda: zstandard.compress(json_lines()[:80]) + zstandard.compress(json_lines()[80:]),
}


def a_mapping(folder: Path, text: str = MAPPING) -> str:
    path = folder / "shop.toml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("name", WRITTEN)
def test_every_text_format_gives_the_same_events(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(WRITTEN[name]())
    assert [each.event for each in read_log(tmp_path / name, a_mapping(tmp_path))] == EVENTS


def test_parquet_gives_the_same_events(tmp_path: Path) -> None:
    columns = {name: [row[at] or None for row in ROWS] for at, name in enumerate(COLUMNS)}
    typed = {
        **columns,
        "price": [1.5, None, None],
        "at": pyarrow.array([int(row[6]) for row in ROWS], pyarrow.int64()),
        "kind": pyarrow.array(columns["kind"]).dictionary_encode(),
    }
    parquet.write_table(pyarrow.table(typed), tmp_path / "a.parquet")
    assert [each.event for each in read_log(tmp_path / "a.parquet", a_mapping(tmp_path))] == EVENTS


def test_times_of_parquet_are_iso(tmp_path: Path) -> None:
    at = pyarrow.array([int(row[6]) for row in ROWS], pyarrow.timestamp("ms", tz="UTC"))
    columns = {name: [row[i] or None for row in ROWS] for i, name in enumerate(COLUMNS)} | {"at": at}
    parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet")
    mapping = a_mapping(tmp_path, MAPPING.replace('format = "ms"', 'format = "iso"'))
    assert [each.event for each in read_log(tmp_path / "a.parquet", mapping)] == EVENTS


def test_logs_are_read_from_an_object_store(tmp_path: Path) -> None:
    store = fsspec.filesystem("memory")
    store.pipe("/shop/a.csv.gz", gzip.compress(delimited(",")))
    told: list[tuple[int, int]] = []
    read = read_log("memory://shop/a.csv.gz", a_mapping(tmp_path), lambda *done: told.append(done))
    assert [each.event for each in read] == EVENTS
    size = store.size("/shop/a.csv.gz")
    assert told[-1] == (size, size)


def test_a_store_that_nobody_knows_is_refused() -> None:
    with pytest.raises(InputError, match="Check the URL"):
        list(read_log("nosuch://shop/a.csv", "serenade"))


def test_members_of_objects_are_columns(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"who": {"id": 7}, "what": {"item": {"id": 42}}}\n')
    mapping = a_mapping(tmp_path, '[columns]\nuser = "who.id"\nitem = "what.item.id"\n')
    (only,) = read_log(tmp_path / "a.jsonl", mapping)
    assert isinstance(only.event, Browse)
    assert (only.event.user_id, only.event.item_id, only.event.event_id) == ("7", "42", "shop-a-0")


def test_every_kind_becomes_its_event(tmp_path: Path) -> None:
    text = """
[columns]
user = "u"
item = "i"
rating = "stars"
dwell_ms = "ms"
order = "o"
[kind]
column = "k"
values = { c = "click", r = "rating", d = "dwell", i = "impression", p = "purchase" }
"""
    rows = ["u,i,k,stars,ms,o", "a,1,c,,,", "a,1,r,4,,", "a,1,d,,1500,", "a,1,i,,,", "a,1,p,,,9", "a,2,p,,,9"]
    (tmp_path / "a.csv").write_text("\n".join(rows) + "\n")
    read = list(read_log(tmp_path / "a.csv", a_mapping(tmp_path, text)))
    assert [type(each.event) for each in read] == [Click, Rating, Dwell, Impression, Purchase]
    _, rating, dwell, _, purchase = (each.event for each in read)
    assert isinstance(rating, Rating)
    assert rating.rating == 0.75  # 4 of 1 to 5
    assert isinstance(dwell, Dwell)
    assert dwell.dwell_ms == 1500
    assert read[-1].item_ids == ("1", "2")
    assert isinstance(purchase, Purchase)
    assert purchase.order_id == "9"


def test_an_order_of_more_lines_than_a_purchase_may_have_is_several_purchases(tmp_path: Path) -> None:
    text = '[columns]\nuser = "u"\nitem = "i"\norder = "o"\n[kind]\nconstant = "purchase"\n'
    rows = "".join(f"a,{n},9\n" for n in range(450))
    (tmp_path / "a.csv").write_text("u,i,o\n" + rows)
    read = list(read_log(tmp_path / "a.csv", a_mapping(tmp_path, text)))
    assert [len(each.item_ids) for each in read] == [200, 200, 50]
    assert len({each.event.event_id for each in read}) == 3


@pytest.mark.parametrize(
    ("part", "ids"),
    [
        ("", ["shop-a-0", "shop-a-1", "shop-a-2"]),
        ('[id]\ntemplate = "{u}/{i}/{row}"\n', ["x/1/0", "x/1/1", "y/1/2"]),
        ('[id]\ncolumn = "n"\n', ["0", "1", "2"]),
    ],
)
def test_ids_are_made_as_the_mapping_says(tmp_path: Path, part: str, ids: list[str]) -> None:
    (tmp_path / "a.csv").write_text("u,i,n\nx,1,0\nx,1,1\ny,1,2\n")
    mapping = a_mapping(tmp_path, f'[columns]\nuser = "u"\nitem = "i"\n{part}')
    assert [each.event.event_id for each in read_log(tmp_path / "a.csv", mapping)] == ids


def test_hashed_ids_are_alike_where_the_columns_are_and_at_every_run(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("u,i,n\nx,1,0\nx,1,1\ny,1,2\n")
    mapping = a_mapping(tmp_path, '[columns]\nuser = "u"\nitem = "i"\n[id]\nhash_of = ["u", "i"]\n')
    first, second, third = (each.event.event_id for each in read_log(tmp_path / "a.csv", mapping))
    assert first == second != third
    assert [each.event.event_id for each in Log(tmp_path / "a.csv", mapping)] == [first, second, third]

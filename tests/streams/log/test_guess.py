"""A log that nobody described is understood from its columns and values."""

import json
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from streams import cli
from streams.errors import InputError
from streams.log import read_log
from streams.log.guess import guess
from streams.log.mapping import LogMapping, parse_mapping
from streams.log.propose import propose, to_toml
from streams.log.sniff import sniff

LOGS = Path(__file__).parents[4] / "shared" / "data"


def proposed(folder: Path, text: str, name: str = "log.csv") -> LogMapping:
    path = folder / name
    path.write_text(text)
    return guess(str(path))[1]


def test_columns_are_told_by_their_names(tmp_path: Path) -> None:
    text = (
        "ts,visitorid,event,itemid,transactionid\n"
        "1433221332117,257597,view,355908,\n"
        "1433224214164,992329,addtocart,248676,\n"
        "1433221999827,111016,transaction,318965,4000\n"
    )
    mapping = proposed(tmp_path, text)
    assert (mapping.columns.user, mapping.columns.item) == ("visitorid", "itemid")
    assert mapping.columns.order == "transactionid"
    assert (mapping.time.column, mapping.time.format) == ("ts", "ms")
    assert mapping.kind.values == {"view": "view", "addtocart": "cart", "transaction": "purchase"}
    assert not mapping.file.in_order  # the second row is later than the third


def test_columns_without_a_header_are_told_by_their_values(tmp_path: Path) -> None:
    mapping = proposed(tmp_path, "7|1511658000|11|pv\n7|1511658001|12|buy\n")
    assert mapping.file.separator == "|"
    assert mapping.file.columns == ("user", "time", "item", "kind")
    assert mapping.kind.values == {"pv": "view", "buy": "purchase"}


def test_members_of_objects_are_told_by_their_last_name(tmp_path: Path) -> None:
    line = '{"user": {"user_id": 7}, "item": {"product_id": "p", "price": 2}, "at": "2024-05-01T10:00:00Z"}\n'
    mapping = proposed(tmp_path, line, "log.jsonl")
    assert (mapping.columns.user, mapping.columns.item) == ("user.user_id", "item.product_id")
    assert (mapping.time.column, mapping.time.format) == ("at", "iso")


def test_ratings_have_the_scale_of_the_sample(tmp_path: Path) -> None:
    mapping = proposed(tmp_path, "userId,movieId,rating,timestamp\n1,31,2.5,1260759144\n1,32,5,1260759145\n")
    assert mapping.kind.constant == "rating"
    assert (mapping.columns.rating_worst, mapping.columns.rating_best) == (2.5, 5.0)


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ("1511658000", "s"),
        ("1511658000123", "ms"),
        ("1511658000123456", "us"),
        ("2019-10-01 00:00:00 UTC", "iso"),
        ("2019-10-01", "iso"),
        ("31/12/2019 10:00", "%d/%m/%Y %H:%M"),
        ("12/31/2019 10:00", "%m/%d/%Y %H:%M"),
    ],
)
def test_times_are_told_by_their_values(tmp_path: Path, value: str, form: str) -> None:
    assert proposed(tmp_path, f"user,item,when\na,1,{value}\n").time.format == form


def test_unicode_text_of_spreadsheets_is_told_by_its_mark(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes("user\titem\nä\tb\n".encode("utf-16"))
    assert [each.event.user_id for each in read_log(path)] == ["ä"]


def test_ids_that_were_exported_as_fractions_are_told(tmp_path: Path) -> None:
    mapping = proposed(tmp_path, "customer,sku\n17850.0,a\n17851.0,b\n")
    assert mapping.file.whole_numbers == ("customer",)


def test_parquet_is_guessed_too(tmp_path: Path) -> None:
    table = pyarrow.table(
        {"user_id": [1, 2], "article_id": ["a", "b"], "t_dat": ["2020-01-01", "2020-01-02"]}
    )
    parquet.write_table(table, tmp_path / "log.parquet")
    _, mapping = guess(str(tmp_path / "log.parquet"))
    assert (mapping.columns.item, mapping.time.column) == ("article_id", "t_dat")


def test_what_cannot_be_guessed_names_the_columns(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no column looks like a user; it has a, b"):
        proposed(tmp_path, "a,b\nx,y\n")
    with pytest.raises(InputError, match="no column looks like an item; it has user, b"):
        proposed(tmp_path, "user,b\nx,y\n")


def test_the_command_prints_a_mapping_that_reads_the_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "clicks.csv"
    path.write_text("who;user;sku;time\n" + "".join(f"x;u{n};{n};{1_700_000_000 + n}\n" for n in range(30)))
    assert cli.run(["mapping", "guess", str(path)]) == 0
    printed = capsys.readouterr().out
    assert printed.count("# events.browse") == 10
    (tmp_path / "shop.toml").write_text(printed)
    assert len(list(read_log(path, str(tmp_path / "shop.toml")))) == 30


def test_the_commands_speak_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "clicks.csv"
    path.write_text("user,sku\na,1\n")
    assert cli.run(["mapping", "guess", str(path), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["mapping"]["columns"] == {"user": "user", "item": "sku"}
    assert [each["event"]["item_id"] for each in said["events"]] == ["1"]
    assert cli.run(["mapping", "list", "--json"]) == 0
    assert "serenade" in [each["name"] for each in json.loads(capsys.readouterr().out)]


def test_a_preset_is_shown_as_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["mapping", "show", "serenade"]) == 0
    assert parse_mapping(capsys.readouterr().out, "shown").columns.user == "SessionId"
    assert cli.run(["mapping", "show", "odd"]) == 2


REAL = {
    "diginetica/test.tsv.gz": "diginetica",
    "serenade/train.tsv.gz": "serenade",
    "rsc15-100k/test.tsv.gz": "rsc15-100k",
    "taobao-slice/events.csv.gz": "taobao-slice",
    "rees46-sample/events.csv.gz": "rees46-sample",
    "online-retail/transactions-2010-12_2011-08.csv.gz": "online-retail",
    "complete-journey/transactions_sample.csv.gz": "complete-journey",
}


@pytest.mark.skipif(
    not LOGS.exists(), reason="the folder shared/data with real logs is not beside this checkout"
)
@pytest.mark.parametrize("log", REAL)
def test_real_logs_are_guessed_and_would_be_without_a_preset(log: str) -> None:
    from streams.log.presets import preset

    name, mapping = guess(str(LOGS / log))
    assert name in {REAL[log], "rsc15-100k"}  # serenade has the same columns
    mine = propose(sniff(str(LOGS / log)), log)
    assert (mine.columns.user, mine.columns.item) == (mapping.columns.user, mapping.columns.item)
    assert mine.time == preset(REAL[log]).time
    assert mine.kind.model_dump() == mapping.kind.model_dump()
    assert parse_mapping(to_toml(mine), log) == mine


@pytest.mark.skipif(
    not LOGS.exists(), reason="the folder shared/data with real logs is not beside this checkout"
)
@pytest.mark.parametrize("log", ["amexpert/train.csv.gz", "open-bandit/random_men.csv.gz"])
def test_tables_that_are_no_event_logs_are_refused(log: str) -> None:
    with pytest.raises(InputError, match="no column looks like"):
        guess(str(LOGS / log))

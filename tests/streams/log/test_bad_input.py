"""What is wrong with a file is said, and what can be used is used."""

import gzip
import logging
from contextlib import suppress
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import InputError, RilletError
from streams.log import Log, read_log
from streams.log.source import MAX_LINE_BYTES, opened
from streams.log.tally import MAX_QUOTED

MAPPING = '[columns]\nuser = "u"\nitem = "i"\n[time]\ncolumn = "t"\nformat = "s"\n'
AT = 1_700_000_000


@pytest.fixture
def mapping(tmp_path: Path) -> str:
    path = tmp_path / "shop.toml"
    path.write_text(MAPPING)
    return str(path)


def rows(n: int) -> list[str]:
    return [f"u{at % 7},{at},{AT + at}" for at in range(n)]


def a_csv(folder: Path, lines: list[str], ending: str = "\n") -> Path:
    path = folder / "a.csv"
    path.write_text("\n".join(["u,i,t", *lines]) + ending)
    return path


def test_unreadable_rows_below_the_threshold_are_quoted_with_their_line(
    tmp_path: Path, mapping: str, caplog: pytest.LogCaptureFixture
) -> None:
    lines = rows(500)
    lines[9] = "u1,x,noon"
    lines[19] = "u1,x"
    log = Log(a_csv(tmp_path, lines), mapping)
    assert len(list(log)) == 498
    assert log.tally.n_unreadable == 2
    # Line 1 is the header.
    assert log.tally.quoted == [
        "line 11: time is 'noon', expected the format s, in 'u1,x,noon'",
        "line 21: 2 values in 3 columns, in 'u1,x'",
    ]
    assert "line 11" in caplog.text


def test_too_many_unreadable_rows_end_the_run_with_the_first_quoted(tmp_path: Path, mapping: str) -> None:
    lines = ["u1,x,noon" if at % 50 == 0 else row for at, row in enumerate(rows(3_000))]
    with pytest.raises(InputError, match=r"(?s)11 of 501 rows are unreadable, allowed are 1\.00%: line 2:"):
        list(read_log(a_csv(tmp_path, lines), mapping))


def test_a_small_log_is_judged_at_its_end(tmp_path: Path, mapping: str) -> None:
    with pytest.raises(InputError, match="1 of 2 rows are unreadable"):
        list(read_log(a_csv(tmp_path, ["u1,x,noon", *rows(1)]), mapping))


def test_no_more_rows_are_quoted_than_anyone_reads(tmp_path: Path, mapping: str) -> None:
    lines = ["u1,x,noon" if at % 200 == 0 else row for at, row in enumerate(rows(2_000))]
    log = Log(a_csv(tmp_path, lines), mapping)
    assert len(list(log)) == 1_990
    assert len(log.tally.quoted) == MAX_QUOTED


def test_values_out_of_bounds_are_named(tmp_path: Path, mapping: str) -> None:
    log = Log(a_csv(tmp_path, [*rows(300), "u1,x,1"]), mapping)
    list(log)
    assert log.tally.quoted == ["line 302: Expected `int` >= 946684800000 - at time_ms, in 'u1,x,1'"]


@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_a_packed_log_that_was_cut_off_is_read_as_far_as_it_goes(
    tmp_path: Path, mapping: str, ending: str, caplog: pytest.LogCaptureFixture
) -> None:
    text = ("u,i,t\n" + "\n".join(rows(200_000)) + "\n").encode()
    packed = gzip.compress(text) if ending == ".gz" else zstandard.compress(text)
    path = tmp_path / f"a.csv{ending}"
    path.write_bytes(packed[: len(packed) // 2])
    n = len(list(read_log(path, mapping)))
    assert 50_000 < n < 150_000
    assert "the log is cut off" in caplog.text


def test_a_damaged_log_is_refused(tmp_path: Path, mapping: str) -> None:
    packed = bytearray(gzip.compress(("u,i,t\n" + "\n".join(rows(50_000))).encode()))
    packed[len(packed) // 2 : len(packed) // 2 + 50] = bytes(50)
    (tmp_path / "a.csv.gz").write_bytes(packed)
    with pytest.raises(InputError, match="is damaged near byte"):
        list(read_log(tmp_path / "a.csv.gz", mapping))


def test_a_file_that_is_not_packed_in_spite_of_its_name_is_refused(tmp_path: Path, mapping: str) -> None:
    (tmp_path / "a.csv.gz").write_text("u,i,t\n")
    with pytest.raises(InputError, match="is damaged"):
        list(read_log(tmp_path / "a.csv.gz", mapping))


def test_a_file_that_is_one_long_line_is_refused(tmp_path: Path, mapping: str) -> None:
    line = f'{{"u":"a","i":"1","t":{AT}}},'
    (tmp_path / "a.json").write_text("[" + line * (MAX_LINE_BYTES // len(line) + 1) + "]")
    with pytest.raises(InputError, match="JSON lines, not one array"):
        list(read_log(tmp_path / "a.json", mapping))


def test_damaged_zstd_is_refused(tmp_path: Path, mapping: str) -> None:
    packed = zstandard.compress(b"u,i,t\n") + b"no frame at all"
    (tmp_path / "a.csv.zst").write_bytes(packed)
    with pytest.raises(InputError, match="is damaged"):
        list(read_log(tmp_path / "a.csv.zst", mapping))


def test_lines_in_another_encoding_are_read_all_the_same(
    tmp_path: Path, mapping: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("\ufeffu,i,t\n".encode() + f"ä,1,{AT}\n".encode() + f"ä,2,{AT}\n".encode("cp1252"))
    assert [each.event.user_id for each in read_log(path, mapping)] == ["ä", "ä"]
    assert "line=3" in caplog.text


def test_utf_16_is_read_when_the_mapping_says_so(tmp_path: Path) -> None:
    (tmp_path / "shop.toml").write_text(MAPPING + '[file]\nencoding = "utf-16"\n')
    (tmp_path / "a.csv").write_bytes(f"u,i,t\nä,1,{AT}\n".encode("utf-16"))
    (only,) = read_log(tmp_path / "a.csv", str(tmp_path / "shop.toml"))
    assert only.event.user_id == "ä"


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.csv.gz"])
def test_an_empty_file_is_refused(tmp_path: Path, mapping: str, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(b"") if name.endswith(".gz") else b"")
    with pytest.raises(InputError, match="is empty"):
        list(read_log(path, mapping))
    with pytest.raises(InputError, match="is empty"):
        list(read_log(path))


def test_a_log_without_rows_has_no_events(tmp_path: Path, mapping: str) -> None:
    assert list(read_log(a_csv(tmp_path, [], ending=""), mapping)) == []


@pytest.mark.parametrize(
    ("name", "text"), [("a.csv", "who,what\n1,2\n"), ("a.jsonl", '{"who":1,"what":2}\n')]
)
def test_a_mapping_that_fits_no_column_names_those_there_are(
    tmp_path: Path, mapping: str, name: str, text: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match="has no column 'u'; it has who, what"):
        list(read_log(tmp_path / name, mapping))


def test_a_log_of_which_nothing_is_used_is_refused(tmp_path: Path, mapping: str) -> None:
    with pytest.raises(InputError, match="none of 2 rows names a user and an item"):
        list(read_log(a_csv(tmp_path, [f",1,{AT}", f",2,{AT}"]), mapping))


def test_kinds_that_the_mapping_does_not_name_are_counted(tmp_path: Path) -> None:
    (tmp_path / "shop.toml").write_text(MAPPING + '[kind]\ncolumn = "k"\nvalues = { look = "view" }\n')
    lines = [f"a,1,{AT},{kind}" for kind in ("look", "wink", "wink", "nod")]
    (tmp_path / "a.csv").write_text("\n".join(["u,i,t,k", *lines]) + "\n")
    log = Log(tmp_path / "a.csv", str(tmp_path / "shop.toml"))
    assert len(list(log)) == 1
    assert log.tally.summary()["unmapped_kinds"] == {"wink": 2, "nod": 1}


def test_a_json_array_is_told_how_to_become_lines(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('[\n{"u":1}]\n')
    with pytest.raises(InputError, match=r"is one JSON array(?s:.*)jq -c"):
        list(read_log(tmp_path / "a.json"))


def test_no_parquet_file_is_refused(tmp_path: Path, mapping: str) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(InputError, match="is no Parquet file, or cut off"):
        list(read_log(tmp_path / "a.parquet", mapping))


def test_objects_nested_too_deep_are_unreadable(tmp_path: Path, mapping: str) -> None:
    lines = [f'{{"u":"a","i":"1","t":{AT}}}'] * 200
    lines[3] = "[" * 100_000
    lines[4] = "7"
    (tmp_path / "a.jsonl").write_text("\n".join(lines) + "\n")
    log = Log(tmp_path / "a.jsonl", str(_tolerant(tmp_path)))
    assert len(list(log)) == 198
    assert [each.partition(":")[0] for each in log.tally.quoted] == ["line 4", "line 5"]


def _tolerant(folder: Path) -> Path:
    path = folder / "tolerant.toml"
    path.write_text(MAPPING + "[file]\nmax_unreadable = 1.0\n")
    return path


def test_a_row_back_in_time_is_counted_and_told(
    tmp_path: Path, mapping: str, caplog: pytest.LogCaptureFixture
) -> None:
    log = Log(a_csv(tmp_path, [f"a,1,{AT + 5}", f"a,2,{AT}", f"a,3,{AT + 6}"]), mapping)
    assert [each.item_ids for each in log] == [("1",), ("2",), ("3",)]
    assert log.tally.n_back_in_time == 1
    assert "file.in_order = false" in caplog.text


@given(content=st.binary(max_size=300), name=st.sampled_from(["a.csv", "a.tsv", "a.jsonl", "a.gz", "a.zst"]))
def test_no_bytes_make_the_reader_fail_otherwise_than_by_an_error_of_ours(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str
) -> None:
    logging.disable(logging.WARNING)
    folder = tmp_path_factory.mktemp("any")
    (folder / name).write_bytes(content)
    for mapping in (str(_tolerant(folder)), None):
        with suppress(RilletError):
            list(read_log(folder / name, mapping))
    logging.disable(logging.NOTSET)


def test_bytes_read_never_exceed_those_there_are(tmp_path: Path) -> None:
    path = a_csv(tmp_path, rows(100))
    told: list[tuple[int, int]] = []
    with opened(str(path), lambda *done: told.append(done)) as source:
        assert source.unpacked.read() == path.read_bytes()
    assert told[-1] == (path.stat().st_size, path.stat().st_size)

import gzip
from pathlib import Path

import pytest

from schemas.events import Browse, Cart, Purchase
from schemas.topics import BROWSE, FEEDBACK, PURCHASE
from streams.errors import InputError
from streams.log import read_log
from streams.log.clock import FIRST_MS
from streams.log.guess import guess

COLUMNS = {
    "rees46-sample": "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,"
    "user_session",
    "online-retail": "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country",
    "complete-journey": "household_id,store_id,basket_id,product_id,quantity,sales_value,retail_disc,"
    "coupon_disc,coupon_match_disc,week,transaction_timestamp",
}


def a_log(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


def test_a_log_without_a_clock_gets_a_second_an_event(tmp_path: Path) -> None:
    path = a_log(tmp_path, "diginetica.tsv.gz", "SessionId\tItemId\tOrder\n0\t11\t0\n0\t12\t1\n")
    events = [each.event for each in read_log(path, "diginetica")]
    assert events == [
        Browse(event_id="diginetica-diginetica-0", user_id="0", time_ms=FIRST_MS, item_id="11"),
        Browse(event_id="diginetica-diginetica-1", user_id="0", time_ms=FIRST_MS + 1_000, item_id="12"),
    ]


def test_a_log_out_of_order_is_sorted_by_time(tmp_path: Path) -> None:
    text = "SessionId\tItemId\tTime\n1\t11\t1593536687.5\n1\t12\t1593536656.0\n2\t13\t1593536660.0\n"
    read = list(read_log(a_log(tmp_path, "serenade.tsv", text), "serenade"))
    assert [each.item_ids for each in read] == [("12",), ("13",), ("11",)]
    assert read[-1].event.time_ms == 1_593_536_687_500


def test_kinds_become_their_events(tmp_path: Path) -> None:
    header = COLUMNS["rees46-sample"]
    row = "2019-10-01 00:00:0{} UTC,{},44,21,home.lamp,lumen,35.79,ann,s1"
    lines = [
        header,
        row.format(0, "view"),
        row.format(1, "cart"),
        row.format(2, "purchase"),
        row.format(3, "odd"),
    ]
    read = list(read_log(a_log(tmp_path, "log.csv", "\n".join(lines) + "\n"), "rees46-sample"))
    assert [each.topic for each in read] == [BROWSE, FEEDBACK, PURCHASE]
    view, cart, purchase = (each.event for each in read)
    assert isinstance(view, Browse)
    assert (view.category, view.brand, view.price, view.session_id) == ("home.lamp", "lumen", 35.79, "s1")
    # 2019-10-01 00:00:00 UTC is 1,569,888,000 s after 1970.
    assert view.time_ms == 1_569_888_000_000
    assert isinstance(cart, Cart)
    assert isinstance(purchase, Purchase)
    assert purchase.lines[0].price == 35.79


def test_the_lines_of_an_order_are_one_purchase(tmp_path: Path) -> None:
    header = COLUMNS["online-retail"]
    rows = [
        "536365,85123A,HEART,6,2010-12-01 08:26:00,2.55,17850.0,UK",
        "536365,71053,LANTERN,2,2010-12-01 08:26:00,3.39,17850.0,UK",
        "536365,99999,BACK,-1,2010-12-01 08:26:00,3.39,17850.0,UK",
        "536366,71053,LANTERN,1,2010-12-01 08:28:00,3.39,,UK",
        "536367,71053,LANTERN,1,2010-12-01 08:28:00,3.39,13047.0,UK",
    ]
    path = a_log(tmp_path, "log.csv", "\n".join([header, *rows]) + "\n")
    first, second = read_log(path, "online-retail")
    assert first.item_ids == ("85123A", "71053")  # what is given back, or bought by nobody known, is left out
    assert isinstance(first.event, Purchase)
    assert [line.quantity for line in first.event.lines] == [6, 2]
    assert second.event.user_id == "13047"


def test_the_price_of_a_whole_line_is_divided_by_its_pieces(tmp_path: Path) -> None:
    header = COLUMNS["complete-journey"]
    row = "511,316,32,847901,2.0,11.50,2.9,0.0,0.0,13,2017-03-26 17:22:21"
    (only,) = read_log(a_log(tmp_path, "log.csv", f"{header}\n{row}\n"), "complete-journey")
    assert isinstance(only.event, Purchase)
    assert only.event.lines[0].price == 5.75


def test_the_preset_is_guessed_from_the_path_or_the_columns(tmp_path: Path) -> None:
    header = COLUMNS["rees46-sample"] + "\n"
    assert guess(str(a_log(tmp_path, "october.csv", header)))[0] == "rees46-sample"
    assert guess(str(a_log(tmp_path, "taobao-slice.csv", "1,2,3,pv,4\n")))[0] == "taobao-slice"
    with pytest.raises(InputError, match=r"(?s)No preset fits .*--mapping"):
        guess(str(a_log(tmp_path, "odd.csv", "a,b\n")))


def test_a_row_that_makes_no_sense_is_named(tmp_path: Path) -> None:
    text = "SessionId\tItemId\tTime\n1\t11\tnoon\n1\t12\t1\n"
    with pytest.raises(InputError, match=r"line 2: time is 'noon', expected the format s"):
        list(read_log(a_log(tmp_path, "serenade.tsv", text), "serenade"))


def test_a_last_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    text = "SessionId\tItemId\tTime\n1\t11\t1593536687\n1\t12"
    assert len(list(read_log(a_log(tmp_path, "serenade.tsv", text), "serenade"))) == 1


@pytest.mark.parametrize(
    ("name", "says"), [("odd", "no preset 'odd'"), ("serenade", "no column 'SessionId'")]
)
def test_a_preset_that_does_not_fit_is_refused(tmp_path: Path, name: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        list(read_log(a_log(tmp_path, "log.csv", "a,b\n1,2\n"), name))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.csv cannot be read"):
        list(read_log(tmp_path / "none.csv", "serenade"))


LOGS = Path(__file__).parents[4] / "shared" / "data"


@pytest.mark.skipif(
    not LOGS.exists(), reason="the folder shared/data with real logs is not beside this checkout"
)
@pytest.mark.parametrize(
    ("path", "n", "kinds"),
    [
        ("diginetica/test.tsv.gz", 76_821, {Browse}),
        ("serenade/valid.tsv.gz", 1_451, {Browse}),
        ("rsc15-100k/test.tsv.gz", 13_568, {Browse}),
    ],
)
def test_real_logs_are_read_whole_and_in_order(path: str, n: int, kinds: set[type]) -> None:
    read = list(read_log(LOGS / path))
    assert len(read) == n
    assert {type(each.event) for each in read} == kinds
    times = [each.event.time_ms for each in read]
    assert times == sorted(times)

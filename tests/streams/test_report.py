"""The report: whole, harmless, bounded, and of what a cluster told."""

import re
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Producer
from report_findings import HOSTILE, START_MS, checked, gathered, inventory, late, valued

from schemas import topics
from schemas.quality import QualityReport, Scores
from streams import cli
from streams.report.gathered import Gathered
from streams.report.page import page
from streams.report.spark import spark
from streams.report.written import LATEST, write, write_into

VOID = {"meta", "br", "img", "hr", "link", "input"}


@pytest.fixture(scope="module")
def found() -> Gathered:
    return gathered()


class Wellformed(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.scripts = 0

    def handle_starttag(self, tag, attrs):
        self.scripts += tag == "script"
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_whole_harmless_and_fetches_nothing(found: Gathered) -> None:
    made = page(found, [late(60.0, 0.1), late(3600.0, 0.3)])
    parsed = Wellformed()
    parsed.feed(made)
    assert parsed.open == []
    assert parsed.scripts == 1, "the table's own; what a topic holds is text"
    assert len(parsed.ids) == len(set(parsed.ids))
    assert HOSTILE not in made
    assert not re.search(r'(src|href)="(?!#)', made)
    assert "default-src 'none'" in made
    assert set(re.findall(r'href="#([\w-]+)"', made)) <= set(parsed.ids)


def test_it_tells_value_cost_curves_quality_drift_and_alerts(found: Gathered) -> None:
    made = page(found, [late(60.0, 0.1), late(3600.0, 0.3)])
    titles = re.findall(r"<h2[^>]*>([^<]+)</h2>", made)
    assert titles == [
        "Value", "Cost", "Freshness and volume", "Quality now", "Quality over time", "Drift", "Alerts",
    ]  # fmt: skip
    assert "browse +0.3000 plus or minus 0.0196" in made
    assert "100 slates seen: click-through 0.0800, conversion 0.0100; in the order by all 0.0700" in made
    assert ">click-through<" in made
    assert "distribution" in made
    # 0.3 of NDCG a slate, 8 slates, half a second.
    assert ">4.8<" in made
    assert "browse 1 h late +0.3000" in made
    assert "overall of events.browse: from 0.900 to 0.700, at least 0.700" in made
    assert page(found, []) == page(found, []), "equal findings give equal pages"


def test_a_cluster_that_tells_nothing_has_a_page(found: Gathered) -> None:
    made = page(Gathered(inventory("b:1"), [], [], [], {}, [], ["There is no topic metrics.value."]))
    assert "There are no topics." in made
    assert "There is no topic metrics.value." in made


def test_a_curve_spans_its_values_and_its_limit() -> None:
    # Of 0, 1, 2 with a limit of 4: the curve fills the lower half of 28 less 3 at both edges.
    drawn = spark([0.0, 1.0, 2.0], "rises", limit=4.0)
    assert 'points="3.0,25.0 60.0,19.5 117.0,14.0"' in drawn
    assert 'y1="3.0"' in drawn
    assert "polyline" not in spark([1.0], "one")


def test_files_are_whole_and_the_newest_are_kept(tmp_path: Path) -> None:
    for hour in range(4):
        write_into(f"page {hour}", tmp_path, START_MS + 3_600_000 * hour, keep=2)
    names = sorted(each.name for each in tmp_path.iterdir())
    assert names == [LATEST, "rillet-20231115T001320Z.html", "rillet-20231115T011320Z.html"]
    assert (tmp_path / LATEST).read_text() == "page 3"


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    to = tmp_path / "report.html"
    write("before", to)
    with pytest.raises(UnicodeEncodeError):
        write("\ud800", to)
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]
    assert to.read_text() == "before"


def test_it_reports_on_what_a_broker_holds(
    embedded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = Scores(
        completeness=0.9, validity=1.0, uniqueness=1.0, timeliness=1.0, consistency=None, overall=0.97
    )
    quality = QualityReport(
        report_id="1", source=topics.BROWSE, window_start_ms=START_MS, window_end_ms=START_MS + 60_000, partitions=[0],
        n_events=10, n_accepted=10, n_rejected=0, n_duplicates=0, n_late=0, rejected={}, kinds={}, fields={},
        unknown_fields={}, events_per_s=1.0, lag_p50_s=None, lag_p99_s=None, scores=scores,
    )  # fmt: skip
    producer = Producer({"bootstrap.servers": embedded, "partitioner": "murmur2_random"})
    for topic, value in (
        (topics.QUALITY, quality), (topics.CHECKS, checked(0)), (topics.VALUE, valued(10, 0.3)), (topics.BROWSE, {}),
        (topics.ALERTS, None),
    ):  # fmt: skip
        producer.produce(topic, key=b"k", value=msgspec.json.encode(value) if value is not None else None)
    assert producer.flush(20) == 0
    monkeypatch.setenv("RILLET_BOOTSTRAP_SERVERS", embedded)
    assert cli.run(["report", str(tmp_path / "reports"), "--since", "beginning"]) == 0
    made = (tmp_path / "reports" / LATEST).read_text()
    for said in ("browse +0.3000", "completeness of events.browse", "metrics.quality", "0.970"):
        assert said in made


def test_a_file_that_tells_no_curves_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "value.json"
    other.write_text("{}")
    assert cli.run(["report", str(tmp_path / "r.html"), "--curves", str(other)]) == 2
    assert "tells no curves" in capsys.readouterr().err

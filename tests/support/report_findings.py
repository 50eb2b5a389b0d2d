"""What a report is made of, one of each kind: figures, checks, alerts, assets, and names that are no names."""

from pathlib import Path

import msgspec

from models.evaluate.intervals import Interval
from models.evaluate.result import Difference
from models.inventory.lineage import of_rillet
from models.value.weaker import Marginal
from schemas import topics
from schemas.checks import Alert, CheckReport, CheckResult, Status
from schemas.inventory import Asset
from schemas.value import SeenSlates, SourceCost, Value, ValueReport
from streams.inventory import Inventory
from streams.report.gathered import Gathered, Scored, Valued

START_MS = 1_700_000_000_000
HOSTILE = "<script>alert('a & b')</script>"
ASSET = Path(__file__).parents[1] / "schemas" / "fixtures" / "v1" / "asset-full.json"
"""Of the topic of searches."""


def result(
    check: str, field: str, status: Status, value: float, dimension: str = "distribution"
) -> CheckResult:
    return CheckResult(check=check, dimension=dimension, field=field, status=status, value=value, low=None, high=0.2,
                       n=100, evidence=f"top values: {HOSTILE}")  # fmt: skip


def checked(number: int) -> CheckReport:
    drift = 0.05 + 0.1 * number
    return CheckReport(
        source=topics.BROWSE, window_start_ms=START_MS + 60_000 * number,
        window_end_ms=START_MS + 60_000 * (number + 1), n_events=1_000, status=Status.FAIL,
        checks=[result("drift", "price", Status.FAIL if drift > 0.2 else Status.PASS, drift),
                result("completeness", "brand", Status.WARN, 0.4, "completeness")],
    )  # fmt: skip


def valued(n: int, browse: float) -> ValueReport:
    value = Value(
        player="browse", metric="ndcg", value=browse, value_error=0.01, left_out=0.2, left_out_error=0.01
    )
    harm = Value(
        player="text", metric="ndcg", value=-0.01, value_error=0.001, left_out=0.0, left_out_error=0.01
    )
    clicked = Value(
        player="browse",
        metric="click_through",
        value=0.05,
        value_error=0.01,
        left_out=0.04,
        left_out_error=0.01,
    )
    seen = SeenSlates(
        n_seen=100, n_clicks=8, n_purchases=1, valued_share=0.5, effective_clicks=3.9, limited_share=0.25
    )
    cost = SourceCost(player="browse", n_events=10, n_slates=8, n_bytes=2_048, cpu_s=0.5, memory_bytes=1 << 20,
                      latency_s=0.012)  # fmt: skip
    return ValueReport(of="source", window_start_ms=START_MS, window_end_ms=START_MS + 1_000 * n, n=n, k=20,
                       all_in={"ndcg": 0.4, "click_through": 0.07}, none_in={"ndcg": 0.0, "click_through": 0.0},
                       values=[value, harm, clicked], costs=[cost], seen=seen)  # fmt: skip


def inventory(servers: str = HOSTILE) -> Inventory:
    return Inventory(servers, "c", START_MS, [], [], [], {}, has_ledger=False)


def with_assets() -> Inventory:
    """A topic of the catalogue and one that is not, and a process that reads the first."""
    asset = msgspec.json.decode(ASSET.read_bytes(), type=Asset)
    other = msgspec.structs.replace(asset, asset="clicks", known=False)
    processes = [each for each in of_rillet("rillet") if asset.asset in each.reads]
    return Inventory("b:1", "c", START_MS, [asset, other], processes, ["A note."], {}, has_ledger=False)


def late(seconds: float, lost: float) -> Marginal:
    difference = Difference(
        "all sources", f"browse {seconds:g} s late", "ndcg@20", Interval(lost, lost - 0.01, lost + 0.01)
    )
    return Marginal("browse", "late", seconds, difference)


def gathered() -> Gathered:
    """Of a cluster that tells of all there is, and has no topics."""
    checks = [checked(n) for n in range(3)]
    alert = Alert(alert_id="1", source=topics.BROWSE, window_start_ms=START_MS, window_end_ms=START_MS + 1,
                  before=Status.PASS, result=checks[-1].checks[0])  # fmt: skip
    return Gathered(
        inventory=inventory(),
        scored=[Scored(topics.BROWSE, START_MS + n, 100, {"overall": 0.9 - 0.1 * n}) for n in range(3)],
        checks=checks,
        alerts=[alert],
        values={"source": valued(10, 0.3)},
        valued=[Valued(START_MS, valued(10, 0.3)), Valued(START_MS + 1, valued(11, 0.2))],
        notes=[],
    )

from msgspec.structs import replace

from models.inventory.history import continued, forgotten, gone
from schemas.inventory import Asset, Cost

BLANK = Asset(
    asset="a", kind="topic", known=False, owner=None, description=None, contract=None, key=None, content="empty",
    columns=[], fingerprint="", time_column=None, n_partitions=1, replication=1, cleanup=None, retention_ms=None,
    n_records=0, size_bytes=None, record_bytes=None, records_per_s=0.0, newest_ms=None, freshness_s=None, upstream=[],
    downstream=[], reaches=[], readers=[], scores=None, scores_of=None, value=None,
    cost=Cost(bytes_per_day=None, lag_share=None), proposal=None, n_sampled=0, n_unreadable=0, first_seen_ms=1_000,
    last_seen_ms=1_000,
)  # fmt: skip
DAY_MS = 86_400_000


def test_the_first_time_is_kept_and_the_last_moves_on():
    before = {"a": BLANK}
    now = [
        replace(BLANK, first_seen_ms=5_000, last_seen_ms=5_000),
        replace(BLANK, asset="new", first_seen_ms=5_000),
    ]
    old, new = continued(now, before)
    assert (old.first_seen_ms, old.last_seen_ms) == (1_000, 5_000)
    assert new.first_seen_ms == 5_000


def test_what_is_gone_says_so_with_its_last_figures_until_it_is_forgotten():
    (missing,) = gone([], {"a": replace(BLANK, n_records=17)})
    assert (missing.present, missing.n_records, missing.last_seen_ms) == (False, 17, 1_000)
    assert forgotten([missing], 1_000 + 7 * DAY_MS) == set()
    assert forgotten([missing], 1_001 + 7 * DAY_MS) == {"a"}


def test_what_was_not_looked_at_is_not_gone():
    assert gone([], {"a": BLANK}, lambda name: name.startswith("shop")) == []

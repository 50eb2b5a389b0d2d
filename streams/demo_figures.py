"""What the demo measures while it runs: events, slates, latency, hits, clicks, quality.

No I/O, and no clock of its own. Hits are counted by ``models.simulate.scoreboard``; ``demo_view`` shows it all.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import numpy as np

from models.simulate.scoreboard import Rates, Scoreboard
from schemas.outputs import Slate
from schemas.quality import QualityReport

MAX_UNANSWERED: Final = 50_000
MAX_LATENCIES: Final = 100_000
RATE_WINDOW_S: Final = 3.0


class Look(NamedTuple):
    """A user looks at, or buys, an item; ``oracle`` is 1 for its hit, 0 for a miss, -1 if not asked."""

    user_id: str
    item_id: str
    from_slate: bool = False
    oracle: int = -1


class Percentiles(NamedTuple):
    """Of the latency from the event handed to the producer to the slate read back, milliseconds."""

    n: int
    p50_ms: float
    p90_ms: float
    p99_ms: float


class Meter:
    """Counts, and the rate over the last ``RATE_WINDOW_S``."""

    def __init__(self) -> None:
        self.n = 0
        self._recent: deque[tuple[float, int]] = deque()

    def add(self, n: int, at_s: float) -> None:
        """n more at a moment."""
        self.n += n
        self._recent.append((at_s, n))
        while self._recent[0][0] < at_s - RATE_WINDOW_S:
            self._recent.popleft()

    def per_s(self, now_s: float) -> float:
        """Rate until now."""
        return sum(n for at_s, n in self._recent if at_s >= now_s - RATE_WINDOW_S) / RATE_WINDOW_S


class Figures:
    """All figures of one run; what it remembers of events and slates is bounded by the constants above."""

    def __init__(self, k: int, titles: Mapping[str, str]) -> None:
        self.k, self.titles = k, dict(titles)
        self.events, self.slates = Meter(), Meter()
        self.scores = Scoreboard(k)
        self.n_impressions = self.n_clicks = self.n_dead_letters = 0
        self.reasons: Counter[str] = Counter()
        self.behind = 0
        self.quality: dict[str, QualityReport] = {}
        self.newest: Slate | None = None
        self.last_look: dict[str, str] = {}
        self._sent: OrderedDict[str, float] = OrderedDict()
        self._latencies_ms: deque[float] = deque(maxlen=MAX_LATENCIES)

    def sent(self, event_ids: Iterable[str], looks: Iterable[Look], at_s: float) -> None:
        """Events go out now: score their looks by the slates that have arrived, and start the clock."""
        for look in looks:
            self.scores.look(look.user_id, look.item_id, from_slate=look.from_slate, oracle=look.oracle)
            self.last_look[look.user_id] = look.item_id
        n = 0
        for event_id in event_ids:
            self._sent[event_id] = at_s
            n += 1
        while len(self._sent) > MAX_UNANSWERED:
            self._sent.popitem(last=False)
        self.events.add(n, at_s)

    def arrived(self, slate: Slate, at_s: float) -> None:
        """A slate can be read."""
        self.slates.add(1, at_s)
        self.scores.publish(slate.user_id, [item.item_id for item in slate.items])
        sent_s = self._sent.pop(slate.event_id, None)
        if sent_s is not None:
            self._latencies_ms.append((at_s - sent_s) * 1000.0)
        if slate.items:
            self.newest = slate

    def latency(self) -> Percentiles | None:
        """Of the last ``MAX_LATENCIES`` slates."""
        if not self._latencies_ms:
            return None
        p50, p90, p99 = np.percentile(np.fromiter(self._latencies_ms, np.float64), (50, 90, 99)).tolist()
        return Percentiles(len(self._latencies_ms), p50, p90, p99)

    def click_rate(self) -> float | None:
        """Clicks a slate that was read."""
        return self.n_clicks / self.n_impressions if self.n_impressions else None

    def title(self, item_id: str | None) -> str:
        """How a person calls an item."""
        return self.titles.get(item_id or "", item_id or "")

    def summary(self, seconds: float, *, simulation: bool, seed: int | None) -> dict[str, Any]:
        """Everything, for ``--json``; rates are shares, null where nothing was counted."""
        latency = self.latency()
        return {
            "simulation": simulation,
            "seed": seed,
            "seconds": round(seconds, 1),
            "events": self.events.n,
            "slates": self.slates.n,
            "events_per_s": round(self.events.n / seconds, 1) if seconds else None,
            "latency_ms": None
            if latency is None
            else {key: round(v, 1) for key, v in latency._asdict().items()},
            "hit_rate": _told(self.scores.rates()),
            "hit_rate_of_new_items": _told(self.scores.rates_of_new()),
            "recommendations": {
                "read": self.n_impressions,
                "clicked": self.n_clicks,
                "click_rate": _rounded(self.click_rate()),
            },
            "dead_letters": self.n_dead_letters,
            "dead_letter_reasons": dict(self.reasons.most_common()),
            "quality": {
                source: {
                    "completeness": report.scores.completeness,
                    "validity": report.scores.validity,
                    "overall": report.scores.overall,
                }
                for source, report in sorted(self.quality.items())
            },
        }


def _told(rates: Rates) -> dict[str, float | None]:
    return {
        "k": rates.k,
        "n": rates.n_looks,
        "rillet": _rounded(rates.ours),
        "most_popular": _rounded(rates.popular),
        "oracle": _rounded(rates.oracle),
    }


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 4)

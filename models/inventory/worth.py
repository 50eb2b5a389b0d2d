"""What topics are worth: of the sources of data that they carry, by the newest reports on values."""

from collections.abc import Iterable, Mapping
from typing import Final

from models.value.report import combined
from schemas import topics
from schemas.value import ValueReport

CARRIES: Final[Mapping[str, tuple[str, ...]]] = {
    topics.BROWSE: ("browse",),
    topics.SEARCH: ("search",),
    topics.PURCHASE: ("purchase",),
    topics.FEEDBACK: ("feedback",),
    topics.ITEMS: ("attributes", "text"),
    topics.PROMOTIONS: ("promotions",),
}
METRIC: Final = "ndcg"
RECENT_MS: Final = 3_600_000


def of_values(reports: Iterable[ValueReport]) -> dict[str, float]:
    """By topic, what its sources add to NDCG by Shapley's shares, over the newest hour that was told of."""
    told = [each for each in reports if each.of == "source"]
    newest_ms = max((each.window_end_ms for each in told), default=0)
    report = combined([each for each in told if each.window_end_ms > newest_ms - RECENT_MS])
    if report is None:
        return {}
    value = {each.player: each.value for each in report.values if each.metric == METRIC}
    return {topic: round(sum(value.get(each, 0.0) for each in of), 6) for topic, of in CARRIES.items()}

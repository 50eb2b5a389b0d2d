"""Whose events a record is, told by members that only those have."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from models.ingest.record import Record
from models.ingest.settings import IngestSettings
from schemas.rejections import Rejection
from streams.log.objects import CLOUDEVENT
from streams.log.presets import preset
from streams.log.records import HEADERS, Records


class Family(NamedTuple):
    """One kind of records, and the preset that reads it."""

    name: str
    preset: str | None
    fits: Callable[[dict[str, Any]], bool]


def _is_webhook(value: dict[str, Any]) -> bool:
    gid = value.get("admin_graphql_api_id")
    return "x-shopify-topic" in value[HEADERS] or (isinstance(gid, str) and gid.startswith("gid://shopify/"))


def _is_measurement(value: dict[str, Any]) -> bool:
    return isinstance(value.get("events"), list) and bool({"client_id", "app_instance_id"} & value.keys())


FAMILIES: Final = (
    Family(
        "rows of GA4's BigQuery export", "ga4", lambda value: {"event_name", "event_params"} <= value.keys()
    ),
    Family("GA4 Measurement Protocol requests", "ga4", _is_measurement),
    Family(
        "GA4 events of a server-side tag manager",
        "ga4",
        lambda value: {"event_name", "client_id"} <= value.keys(),
    ),
    Family(
        "Segment calls",
        "segment",
        lambda value: {"messageId", "type"} <= value.keys() or {"event", "properties"} <= value.keys(),
    ),
    Family(
        "enriched events of Snowplow",
        "snowplow",
        lambda value: {"collector_tstamp", "v_collector"} <= value.keys(),
    ),
    Family("Shopify webhooks", "shopify-webhooks", _is_webhook),
    Family(
        "Shopify web pixel events",
        "shopify-pixel",
        lambda value: {"clientId", "name", "data"} <= value.keys(),
    ),
    Family(
        "events in Rillet's own words", None, lambda value: {"event_id", "user_id", "time_ms"} <= value.keys()
    ),
)
OTHER: Final = "JSON of its own"


def families(records: Iterable[Record]) -> tuple[Counter[str], Counter[str]]:
    """How many records are of which family, and how many cannot be read for which reason."""
    read = Records(preset("snowplow"), IngestSettings())
    found: Counter[str] = Counter()
    unreadable: Counter[str] = Counter()
    for record in records:
        value = read.object_in(record)
        if isinstance(value, Rejection):
            unreadable[value.detail.partition(":")[0]] += 1
        else:
            found[_family(value)] += 1
    return found, unreadable


def preset_of(found: Counter[str]) -> str | None:
    """The preset of most records, None where there is none for them."""
    most = next(iter(found.most_common(1)), ("", 0))[0]
    return next((each.preset for each in FAMILIES if most.startswith(each.name)), None)


def _family(value: dict[str, Any]) -> str:
    name = next((each.name for each in FAMILIES if each.fits(value)), OTHER)
    return f"{name}, in CloudEvents" if CLOUDEVENT in value else name

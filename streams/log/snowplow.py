"""Enriched events of Snowplow: lines of 131 tab-separated fields, or the JSON that its analytics SDKs make of them.

Field names in order after Snowplow, "Canonical event model"; names of contexts and self-describing events after its
analytics SDKs: ``contexts_<vendor>_<name>_<model>``, a list, and ``unstruct_event_<vendor>_<name>_<model>``. Texts stay
as they are: numbers and times are read where a mapping asks for them."""

import re
from typing import Any, Final

import msgspec

from models.ingest.faults import DECODING_ERRORS

FIELDS: Final = (
    "app_id", "platform", "etl_tstamp", "collector_tstamp", "dvce_created_tstamp", "event", "event_id",
    "txn_id", "name_tracker", "v_tracker", "v_collector", "v_etl", "user_id", "user_ipaddress",
    "user_fingerprint", "domain_userid", "domain_sessionidx", "network_userid", "geo_country", "geo_region",
    "geo_city", "geo_zipcode", "geo_latitude", "geo_longitude", "geo_region_name", "ip_isp",
    "ip_organization", "ip_domain", "ip_netspeed", "page_url", "page_title", "page_referrer",
    "page_urlscheme", "page_urlhost", "page_urlport", "page_urlpath", "page_urlquery", "page_urlfragment",
    "refr_urlscheme", "refr_urlhost", "refr_urlport", "refr_urlpath", "refr_urlquery", "refr_urlfragment",
    "refr_medium", "refr_source", "refr_term", "mkt_medium", "mkt_source", "mkt_term", "mkt_content",
    "mkt_campaign", "contexts", "se_category", "se_action", "se_label", "se_property", "se_value",
    "unstruct_event", "tr_orderid", "tr_affiliation", "tr_total", "tr_tax", "tr_shipping", "tr_city",
    "tr_state", "tr_country", "ti_orderid", "ti_sku", "ti_name", "ti_category", "ti_price", "ti_quantity",
    "pp_xoffset_min", "pp_xoffset_max", "pp_yoffset_min", "pp_yoffset_max", "useragent", "br_name",
    "br_family", "br_version", "br_type", "br_renderengine", "br_lang", "br_features_pdf",
    "br_features_flash", "br_features_java", "br_features_director", "br_features_quicktime",
    "br_features_realplayer", "br_features_windowsmedia", "br_features_gears", "br_features_silverlight",
    "br_cookies", "br_colordepth", "br_viewwidth", "br_viewheight", "os_name", "os_family", "os_manufacturer",
    "os_timezone", "dvce_type", "dvce_ismobile", "dvce_screenwidth", "dvce_screenheight", "doc_charset",
    "doc_width", "doc_height", "tr_currency", "tr_total_base", "tr_tax_base", "tr_shipping_base",
    "ti_currency", "ti_price_base", "base_currency", "geo_timezone", "mkt_clickid", "mkt_network", "etl_tags",
    "dvce_sent_tstamp", "refr_domain_userid", "refr_device_tstamp", "derived_contexts", "domain_sessionid",
    "derived_tstamp", "event_vendor", "event_name", "event_format", "event_version", "event_fingerprint",
    "true_tstamp",
)  # fmt: skip
BAD_ROW: Final = re.compile(r"iglu:com\.snowplowanalytics\.snowplow\.badrows/([a-z_]+)/jsonschema/")
_CONTEXTS: Final = ("contexts", "derived_contexts")
_EVENT: Final = "unstruct_event"
_SCHEMA: Final = re.compile(r"iglu:([a-zA-Z0-9_.-]+)/([a-zA-Z0-9_-]+)/[a-zA-Z0-9_-]+/(\d+)-\d+-\d+")
_CAMEL: Final = re.compile(r"([^A-Z_])([A-Z])")
_decode: Final = msgspec.json.Decoder().decode


def enriched(line: str) -> dict[str, Any]:
    """The event in a line of tab-separated fields; empty fields are left out.

    Raises:
        ValueError: it has another number of fields, or broken JSON in one.
    """
    values = line.rstrip("\r\n").split("\t")
    if len(values) != len(FIELDS):
        raise ValueError(f"{len(values)} tab-separated fields, an enriched event has {len(FIELDS)}")
    event: dict[str, Any] = {name: value for name, value in zip(FIELDS, values, strict=True) if value}
    for name in _CONTEXTS:
        for schema, data in _described(event.pop(name, None), name):
            event.setdefault(_name("contexts", schema), []).append(data)
    for schema, data in _described(event.pop(_EVENT, None), _EVENT):
        event[_name(_EVENT, schema)] = data
    return event


def bad_row(record: Any) -> str | None:
    """Which kind of bad row a record is; None for anything else."""
    schema = record.get("schema") if isinstance(record, dict) else None
    found = BAD_ROW.match(schema) if isinstance(schema, str) else None
    return found[1] if found else None


def _described(text: str | None, field: str) -> list[tuple[str, Any]]:
    """Schema and data of what a field of self-describing JSON holds."""
    if not text:
        return []
    try:
        data = _decode(text)["data"]
        inside = data if isinstance(data, list) else [data]
        return [(each["schema"], each["data"]) for each in inside]
    except (*DECODING_ERRORS, KeyError, TypeError) as error:
        raise ValueError(f"{field} is no self-describing JSON: {error}") from error


def _name(prefix: str, schema: Any) -> str:
    found = _SCHEMA.fullmatch(schema) if isinstance(schema, str) else None
    if found is None:
        raise ValueError(f"{str(schema)[:100]!r} is no schema of Iglu")
    vendor, name, model = found[1].replace(".", "_"), _CAMEL.sub(r"\1_\2", found[2]), found[3]
    return f"{prefix}_{vendor}_{name}_{model}".lower().replace("-", "_")

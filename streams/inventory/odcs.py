"""Data contracts by the Open Data Contract Standard 3.1, one file an asset: what is, as a contract to start from.

Rillet's own topics are ``active``, others ``draft``: a person has to say what is promised. What was measured and is no
promise goes into ``customProperties``.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

import yaml

from schemas.inventory import Asset, Column
from schemas.topics import DAY_MS
from streams.inventory.look import Inventory

API_VERSION: Final = "v3.1.0"
SUFFIX: Final = ".odcs.yaml"
VERSION: Final = "1.0.0"

_LOGICAL: Final = {
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
    "object": "object",
    "array": "array",
}
_DATES: Final = {"iso_time": "timestamp", "iso_date": "date"}
_OPTIONS: Final = {"uuid": "uuid", "email": "email", "url": "uri", "ip": "ipv4"}
_DIMENSIONS: Final = {
    "completeness": "completeness",
    "validity": "conformity",
    "uniqueness": "uniqueness",
    "timeliness": "timeliness",
    "consistency": "consistency",
}

Document = dict[str, Any]


def write(inventory: Inventory, folder: Path) -> int:
    """Write a contract for each asset below the folder, which is made; answers with how many."""
    folder.mkdir(parents=True, exist_ok=True)
    for each in inventory.assets:
        name = re.sub(r"[^A-Za-z0-9._-]", "_", each.asset)
        text = yaml.safe_dump(contract(each, inventory), sort_keys=False, allow_unicode=True, width=110)
        (folder / f"{name}{SUFFIX}").write_text(text, encoding="utf-8")
    return len(inventory.assets)


def contract(asset: Asset, inventory: Inventory) -> Document:
    """The contract of one asset; its id is the same at every run on the same cluster."""
    described = {"purpose": asset.description} if asset.description else {}
    return {
        "apiVersion": API_VERSION,
        "kind": "DataContract",
        "id": str(uuid5(NAMESPACE_URL, f"kafka://{inventory.cluster}/{asset.asset}")),
        "name": asset.asset,
        "version": VERSION,
        "status": "active" if asset.known else "draft",
        **({"description": described} if described else {}),
        "servers": [
            {"server": "kafka", "type": "kafka", "host": inventory.servers, "format": _wire_format(asset)}
        ],
        **({"team": {"name": asset.owner}} if asset.owner else {}),
        "schema": [_schema(asset)],
        "slaProperties": _sla(asset),
        "customProperties": list(_custom(asset)),
    }


def _schema(asset: Asset) -> Document:
    top = [each for each in asset.columns if "." not in each.path and "[]" not in each.path]
    return {
        "name": asset.asset,
        "physicalName": asset.asset,
        "physicalType": asset.kind,
        "logicalType": "object",
        "properties": [_property(each, asset) for each in top],
        **({"quality": quality} if (quality := list(_quality(asset))) else {}),
    }


def _property(column: Column, asset: Asset) -> Document:
    name = column.path.rpartition(".")[2]
    options = _OPTIONS.get(column.format or "")
    below = [each for each in asset.columns if _is_child(each.path, column.path)]
    element = next((each for each in asset.columns if each.path == f"{column.path}[]"), None)
    custom = [{"property": "nDistinct", "value": column.n_distinct}]
    if column.format:
        custom.append({"property": "valueFormat", "value": column.format})
    if column.personal_share is not None:
        custom.append({"property": "personalShare", "value": column.personal_share})
    return {
        "name": name,
        **_logical(column),
        "physicalType": column.type,
        "required": column.null_share == 0.0,
        "unique": column.unique,
        **({"primaryKey": True, "primaryKeyPosition": 1} if column.path == asset.key else {}),
        **({"partitioned": True, "partitionKeyPosition": 1} if column.path == asset.key else {}),
        **({"logicalTypeOptions": {"format": options}} if options and column.type == "string" else {}),
        **(
            {"classification": "restricted", "tags": ["personal", column.personal]} if column.personal else {}
        ),
        **({"properties": [_property(each, asset) for each in below]} if below else {}),
        **({"items": _items(element, asset)} if element and column.type == "array" else {}),
        "customProperties": custom,
    }


def _items(element: Column, asset: Asset) -> Document:
    below = [each for each in asset.columns if _is_child(each.path, element.path)]
    return {
        **_logical(element),
        **({"properties": [_property(each, asset) for each in below]} if below else {}),
    }


def _logical(column: Column) -> Document:
    """The logical type; none where values are of several types, or null in the whole sample."""
    if column.type == "string":
        return {"logicalType": _DATES.get(column.format or "", "string")}
    return {"logicalType": _LOGICAL[column.type]} if column.type in _LOGICAL else {}


def _is_child(path: str, of: str) -> bool:
    rest = path.removeprefix(f"{of}.")
    return rest != path and "." not in rest and "[]" not in rest


def _quality(asset: Asset) -> Iterator[Document]:
    if asset.scores is None:
        return
    for name, dimension in _DIMENSIONS.items():
        score = getattr(asset.scores, name)
        if score is not None:
            source = "metrics.quality" if asset.scores_of == "reports" else "a sample"
            yield {
                "type": "text",
                "dimension": dimension,
                "name": name,
                "description": f"{100 * score:.2f}% as measured from {source}.",
            }


def _sla(asset: Asset) -> list[Document]:
    found: list[Document] = []
    if asset.retention_ms is not None and asset.retention_ms >= 0:
        found.append({"property": "retention", "value": asset.retention_ms / DAY_MS, "unit": "d"})
    if asset.freshness_s is not None:
        told = "As measured: age of the newest record."
        found.append({"property": "latency", "value": asset.freshness_s, "unit": "s", "description": told})
    return found


def _custom(asset: Asset) -> Iterator[Document]:
    figures = {
        "partitions": asset.n_partitions,
        "replication": asset.replication,
        "cleanupPolicy": asset.cleanup,
        "recordKey": asset.key,
        "timeColumn": asset.time_column,
        "jsonSchema": asset.contract,
        "fingerprint": asset.fingerprint,
        "records": asset.n_records,
        "sizeBytes": asset.size_bytes,
        "recordsPerSecond": asset.records_per_s,
        "bytesPerDay": asset.cost.bytes_per_day,
        "upstream": asset.upstream,
        "downstream": asset.downstream,
        "reaches": asset.reaches,
        "readers": [each.group for each in asset.readers],
        "firstSeenMs": asset.first_seen_ms,
        "lastSeenMs": asset.last_seen_ms,
    }
    for name, value in figures.items():
        if value not in (None, []):
            yield {"property": name, "value": value}


def _wire_format(asset: Asset) -> str:
    return asset.content if asset.content not in ("empty", "unknown") else "json"

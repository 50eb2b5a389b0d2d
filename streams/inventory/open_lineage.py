"""OpenLineage events of an inventory: one DatasetEvent an asset, one JobEvent a process.

By the specification 2-0-2 (https://openlineage.io/spec/2-0-2/OpenLineage.json), as Marquez, DataHub and OpenMetadata
read it. Datasets are named as its naming rules have Kafka: ``kafka://host:port`` and the topic. Nothing ran, so there
are no runs: these events say what is, not what happened.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Final

from models.inventory.columns import parent
from models.inventory.lineage import Process
from schemas.inventory import Asset, Column
from streams.inventory.look import Inventory

SPEC: Final = "https://openlineage.io/spec"
EVENTS: Final = f"{SPEC}/2-0-2/OpenLineage.json#/$defs"
PRODUCER: Final = f"urn:rillet:{version('rillet')}"
_VERSIONS: Final = {
    "SchemaDatasetFacet": "1-2-0",
    "DocumentationDatasetFacet": "1-1-0",
    "OwnershipDatasetFacet": "1-0-1",
    "DatasourceDatasetFacet": "1-0-1",
    "TagsDatasetFacet": "1-0-0",
    "DatasetVersionDatasetFacet": "1-0-1",
    "DataQualityMetricsDatasetFacet": "1-0-1",
    "DatasetTypeDatasetFacet": "1-0-1",
    "JobTypeJobFacet": "2-0-4",
    "DocumentationJobFacet": "1-1-0",
    "SourceCodeJobFacet": "1-0-1",
}

Event = dict[str, Any]


def lines(inventory: Inventory) -> Iterator[str]:
    """Each event as a line of JSON."""
    return (json.dumps(each, ensure_ascii=False) for each in events(inventory))


def events(inventory: Inventory) -> Iterator[Event]:
    """Datasets first, so that a reader knows them when a job names them."""
    moment = datetime.fromtimestamp(inventory.time_ms / 1000, UTC).isoformat(timespec="milliseconds")
    head = {"eventTime": moment, "producer": PRODUCER}
    namespace = f"kafka://{inventory.servers.split(',')[0]}"
    for asset in inventory.assets:
        yield {
            **head,
            "schemaURL": f"{EVENTS}/DatasetEvent",
            "dataset": {
                "namespace": namespace,
                "name": asset.asset,
                "facets": _facets(asset, namespace, moment),
            },
        }
    for process in inventory.processes:
        yield {
            **head,
            "schemaURL": f"{EVENTS}/JobEvent",
            "job": {"namespace": "rillet", "name": process.name, "facets": _of_job(process)},
            "inputs": [{"namespace": namespace, "name": name} for name in process.reads],
            "outputs": [{"namespace": namespace, "name": name} for name in process.writes],
        }


def _facets(asset: Asset, namespace: str, moment: str) -> Event:
    facets = {
        "schema": _facet("SchemaDatasetFacet", fields=_fields(asset.columns)),
        "dataSource": _facet("DatasourceDatasetFacet", name=namespace, uri=namespace),
        "datasetType": _facet(
            "DatasetTypeDatasetFacet", datasetType=asset.kind.upper(), subType=asset.content
        ),
        "version": _facet("DatasetVersionDatasetFacet", datasetVersion=asset.fingerprint),
        "tags": _facet("TagsDatasetFacet", tags=_tags(asset)),
        "dataQualityMetrics": _facet("DataQualityMetricsDatasetFacet", **_metrics(asset, moment)),
    }
    if asset.description:
        facets["documentation"] = _facet("DocumentationDatasetFacet", description=asset.description)
    if asset.owner:
        facets["ownership"] = _facet("OwnershipDatasetFacet", owners=[{"name": asset.owner, "type": "owner"}])
    return facets


def _fields(columns: list[Column]) -> list[Event]:
    """The columns as a tree, by their paths."""
    roots: list[Event] = []
    known: dict[str, list[Event]] = {}
    for place, each in enumerate(columns, 1):
        below: list[Event] = []
        name = each.path.rpartition(".")[2]
        known.get(parent(each.path), roots).append(
            {"name": name, "type": each.format or each.type, "ordinal_position": place, "fields": below}
        )
        known[each.path] = below
    return [_without_empty(each) for each in roots]


def _without_empty(field: Event) -> Event:
    below = [_without_empty(each) for each in field["fields"]]
    return {name: value for name, value in field.items() if name != "fields"} | (
        {"fields": below} if below else {}
    )


def _tags(asset: Asset) -> list[Event]:
    source = "RILLET"
    tags: list[Event] = [{"key": "known", "value": str(asset.known).lower(), "source": source}]
    tags += [
        {"key": "personal", "value": each.personal, "source": source, "field": each.path}
        for each in asset.columns
        if each.personal
    ]
    return tags


def _metrics(asset: Asset, moment: str) -> Event:
    n = asset.n_sampled - asset.n_unreadable
    columns = {
        each.path: {
            "nullCount": round(each.null_share * n),
            "distinctCount": each.n_distinct,
        }
        for each in asset.columns
        if "[]" not in each.path
    }
    size = {} if asset.size_bytes is None else {"bytes": asset.size_bytes}
    return {"rowCount": asset.n_records, **size, "columnMetrics": columns, "captureDate": moment}


def _of_job(process: Process) -> Event:
    facets = {
        "jobType": _facet("JobTypeJobFacet", processingType="STREAMING", integration="KAFKA", jobType="JOB"),
        "documentation": _facet("DocumentationJobFacet", description=process.description),
    }
    if process.recipe:
        facets["sourceCode"] = _facet("SourceCodeJobFacet", language="recipe", sourceCode=process.recipe)
    return facets


def _facet(facet: str, /, **content: Any) -> Event:
    return {
        "_producer": PRODUCER,
        "_schemaURL": f"{SPEC}/facets/{_VERSIONS[facet]}/{facet}.json#/$defs/{facet}",
        **content,
    }

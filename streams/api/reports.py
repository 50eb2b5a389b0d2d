"""Figures, checks, values, alerts, the audit log, models and the inventory, from the read model."""

from collections.abc import Iterator
from typing import Final

import msgspec
from aiohttp import web
from msgspec import Raw
from xxhash import xxh3_64_hexdigest

from schemas import topics
from schemas.api import NoQuery, Page, PageQuery, Report, ReportsQuery
from schemas.audit import AuditEntry
from schemas.checks import Alert, CheckReport
from schemas.inventory import Asset
from schemas.metrics import ModelReport
from schemas.quality import QualityReport
from schemas.snapshots import Announced, Promoted
from schemas.value import ValueReport
from streams.api.answers import cursor, page, place, versioned
from streams.api.operations import Operation, id_of
from streams.api.problems import NotFoundError
from streams.api.store import Logged, Store

KINDS: Final = {
    "quality": (topics.QUALITY, QualityReport, "Windows of data quality"),
    "checks": (topics.CHECKS, CheckReport, "Windows of checks"),
    "model": (topics.MODEL, ModelReport, "Windows of figures of the ranking"),
    "value": (topics.VALUE, ValueReport, "Windows of what data are worth"),
}
"""Topic, type of its values and what they are, by the name in the path."""
_encode = msgspec.json.Encoder().encode


class Reports:
    """Reads the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def operations(self) -> list[Operation]:
        """What is answered here."""
        return [
            *(self._of_kind(kind) for kind in KINDS),
            Operation(
                method="GET",
                path="/v1/alerts",
                name="alerts",
                tag="reports",
                summary="Checks that changed their status, newest first.",
                handler=self.alerts,
                scope="read",
                query=ReportsQuery,
                gives=Page[Report[Alert]],
            ),
            Operation(
                method="GET",
                path="/v1/audit",
                name="audit",
                tag="reports",
                summary="Promotions, resets and rollbacks of models, newest first.",
                handler=self.audit,
                scope="read",
                query=ReportsQuery,
                gives=Page[Report[AuditEntry]],
            ),
            Operation(
                method="GET",
                path="/v1/models",
                name="models",
                tag="reports",
                summary="Snapshots of models, and which of them serves.",
                handler=self.models,
                scope="read",
                query=PageQuery,
                gives=Page[Announced | Promoted],
            ),
            Operation(
                method="GET",
                path="/v1/inventory",
                name="inventory",
                tag="reports",
                summary="Topics and tables of the cluster.",
                handler=self.inventory,
                scope="read",
                query=PageQuery,
                gives=Page[Asset],
            ),
            Operation(
                method="GET",
                path="/v1/inventory/{asset}",
                name="asset",
                tag="reports",
                summary="One topic or table of the cluster.",
                handler=self.asset,
                scope="read",
                gives=Asset,
                refuses=(404,),
                conditional=True,
            ),
        ]

    def _of_kind(self, kind: str) -> Operation:
        topic, value_type, about = KINDS[kind]

        async def reports(_: web.Request, query: ReportsQuery) -> web.StreamResponse:
            return self._page(topic, query)

        return Operation(
            method="GET",
            path=f"/v1/reports/{kind}",
            name=f"reports-{kind}",
            tag="reports",
            summary=f"{about}, newest first.",
            handler=reports,
            scope="read",
            query=ReportsQuery,
            gives=Page[Report[value_type]],  # type: ignore[valid-type]
        )

    async def alerts(self, _: web.Request, query: ReportsQuery) -> web.StreamResponse:
        """A page of alerts."""
        return self._page(topics.ALERTS, query)

    async def audit(self, _: web.Request, query: ReportsQuery) -> web.StreamResponse:
        """A page of the audit log."""
        return self._page(topics.AUDIT, query)

    async def models(self, _: web.Request, query: PageQuery) -> web.StreamResponse:
        """A page of announcements."""
        return self._latest(topics.VERSIONS, query)

    async def inventory(self, _: web.Request, query: PageQuery) -> web.StreamResponse:
        """A page of assets."""
        return self._latest(topics.ASSETS, query)

    async def asset(self, request: web.Request, _: NoQuery) -> web.StreamResponse:
        """One asset."""
        name = id_of(request, "asset")
        held = self._store.get(topics.ASSETS, name.encode())
        if held is None:
            raise NotFoundError(
                f"Nothing is known of {name!r}.", fix="`rillet inventory --publish` tells what there is."
            )
        return versioned(request, xxh3_64_hexdigest(held.body), held.body)

    def _page(self, topic: str, query: ReportsQuery) -> web.Response:
        return page(self._picked(topic, query), query.limit)

    def _picked(self, topic: str, query: ReportsQuery) -> Iterator[tuple[str, bytes | None]]:
        key = None if query.key is None else query.key.encode()
        for each in self._store.newest(topic, place(query.cursor)):
            if each.time_ms < query.since_ms:
                return
            meant = key in (None, each.key) and (query.until_ms is None or each.time_ms < query.until_ms)
            yield cursor(each.place), _told(each) if meant else None

    def _latest(self, topic: str, query: PageQuery) -> web.Response:
        found = self._store.after(topic, place(query.cursor) or b"")
        return page(((cursor(key), held.body) for key, held in found), query.limit)


def _told(report: Logged) -> bytes:
    key = report.key.decode(errors="replace")
    return _encode(Report(key=key, time_ms=report.time_ms, value=Raw(report.body)))

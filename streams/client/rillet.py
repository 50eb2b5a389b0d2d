"""The client: one method for each thing that Rillet publishes."""

import asyncio
from typing import Any, Self, TypeVar

from models.ingest.dead_letter import DeadLetter
from schemas.audit import AuditEntry
from schemas.checks import Alert, CheckReport
from schemas.inventory import Asset
from schemas.metrics import ModelReport
from schemas.outputs import Related, Slate, Trending
from schemas.quality import QualityReport
from schemas.snapshots import Announced, Promoted
from schemas.value import ValueReport
from streams.client import outputs
from streams.client.feed import Feed
from streams.client.outputs import Output
from streams.client.read_model import MAX_ENTRIES, ReadModel
from streams.client.reader import Reader, Reading, Since
from streams.client.repeats import WINDOW
from streams.settings import KafkaSettings, load

T = TypeVar("T")


class Rillet:
    """Where the broker is, and in whose name to read; connects when something is asked for.

    ``bootstrap_servers`` alone for a broker without sign-in, ``kafka`` for any other, neither for what
    ``rillet.toml`` and the environment say. With a ``group``, its members share the partitions, and each run goes on
    where the one before stopped; a group that filters by user needs a name of its own. ``window`` is how many ids are
    remembered to drop repeats.

    Leaving ``with`` or ``async with`` closes every feed that is still open.

    Raises:
        SettingsError: the settings are refused.
        InputError: there is no such topic or place to begin.
        BrokerUnreachableError: at the first record: no Kafka answered.
        BrokerRefusedError: the topic is missing, or reading it or the group is not granted.
    """

    def __init__(
        self,
        bootstrap_servers: str | None = None,
        *,
        group: str | None = None,
        kafka: KafkaSettings | None = None,
        window: int = WINDOW,
    ) -> None:
        if bootstrap_servers is not None:
            kafka = (kafka or KafkaSettings()).model_copy(update={"bootstrap_servers": bootstrap_servers})
        self._conf = (kafka or load().kafka).client_conf()
        self._group = group
        self._window = window
        self._feeds: list[Feed[Any]] = []

    def slates(self, user: str | None = None, *, since: Since = "end", follow: bool = True) -> Feed[Slate]:
        """Recommendations as they are made; of one ``user`` by reading their partition alone.

        ``since`` is where to begin: "beginning", "end" or a datetime; with a group, only where it has committed
        nothing yet. ``follow=False`` ends with what is there now. Both mean the same below.
        """
        return self._feed(outputs.SLATES, since, follow, user)

    def trending(self, *, since: Since = "end", follow: bool = True) -> Feed[Trending]:
        """Leaderboards that changed, overall and by category."""
        return self._feed(outputs.TRENDING, since, follow)

    def related(self, item: str | None = None, *, since: Since = "end", follow: bool = True) -> Feed[Related]:
        """Related items that changed; of one ``item`` by reading its partition alone."""
        return self._feed(outputs.RELATED, since, follow, item)

    def quality(self, *, since: Since = "end", follow: bool = True) -> Feed[QualityReport]:
        """Data quality of each source, window by window."""
        return self._feed(outputs.QUALITY, since, follow)

    def checks(self, *, since: Since = "end", follow: bool = True) -> Feed[CheckReport]:
        """Checks of each source over all partitions, window by window."""
        return self._feed(outputs.CHECKS, since, follow)

    def alerts(self, *, since: Since = "end", follow: bool = True) -> Feed[Alert]:
        """Checks that changed their status."""
        return self._feed(outputs.ALERTS, since, follow)

    def values(self, *, since: Since = "end", follow: bool = True) -> Feed[ValueReport]:
        """What sources of data are worth, window by window."""
        return self._feed(outputs.VALUE, since, follow)

    def models(self, *, since: Since = "end", follow: bool = True) -> Feed[ModelReport]:
        """Prequential figures of each model version, window by window."""
        return self._feed(outputs.MODEL, since, follow)

    def assets(self, *, since: Since = "end", follow: bool = True) -> Feed[Asset]:
        """Topics and tables of the cluster, as the inventory last saw them."""
        return self._feed(outputs.ASSETS, since, follow)

    def audit(self, *, since: Since = "end", follow: bool = True) -> Feed[AuditEntry]:
        """Promotions, resets and rollbacks of models."""
        return self._feed(outputs.AUDIT, since, follow)

    def versions(self, *, since: Since = "end", follow: bool = True) -> Feed[Announced | Promoted]:
        """Snapshots of models, and which of them serves."""
        return self._feed(outputs.VERSIONS, since, follow)

    def dead_letters(self, *, since: Since = "end", follow: bool = True) -> Feed[DeadLetter]:
        """Refused records, with the reason."""
        return self._feed(outputs.DEAD_LETTERS, since, follow)

    def follow(
        self, topic: str, key: str | None = None, *, since: Since = "end", follow: bool = True
    ) -> Feed[Any]:
        """Any topic of the catalogue by name; the shop's events and catalogue as plain JSON values."""
        return self._feed(outputs.output(topic), since, follow, key)

    def latest_slates(self, user: str | None = None, *, max_entries: int = MAX_ENTRIES) -> ReadModel[Slate]:
        """The latest slate by user id; without the group, as all of it is needed."""
        return self._read_model(outputs.SLATES, max_entries, user)

    def latest_trending(self, *, max_entries: int = MAX_ENTRIES) -> ReadModel[Trending]:
        """The latest leaderboard by category, and of all under ``schemas.topics.OVERALL``."""
        return self._read_model(outputs.TRENDING, max_entries)

    def latest_related(self, *, max_entries: int = MAX_ENTRIES) -> ReadModel[Related]:
        """The latest related items by item id."""
        return self._read_model(outputs.RELATED, max_entries)

    def _feed(self, output: Output[T], since: Since, follow: bool, key: str | None = None) -> Feed[T]:
        reading = Reading(
            conf=self._conf,
            group=self._group,
            since=since,
            key=None if key is None else key.encode(),
            follow=follow,
            window=self._window,
        )
        feed = Feed(Reader(output, reading))
        self._feeds = [each for each in self._feeds if not each.closed] + [feed]
        return feed

    def _read_model(self, output: Output[T], max_entries: int, key: str | None = None) -> ReadModel[T]:
        wanted = None if key is None else key.encode()
        reading = Reading(conf=self._conf, since="beginning", key=wanted, window=0)
        return ReadModel(Reader(output, reading), max_entries)

    def close(self) -> None:
        """Close every feed that is still open."""
        for feed in self._feeds:
            feed.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(feed.aclose() for feed in self._feeds))

"""What an application reads Rillet's outputs with: slates, leaderboards, related items, reports, dead letters.

::

    from streams.client import Rillet

    async with Rillet(bootstrap_servers="127.0.0.1:9092", group="mailer") as rillet:
        async for slate in rillet.slates():
            print(slate.user_id, [item.item_id for item in slate.items])

It sends nothing, and asks no worker: everything it tells is in the topics.
"""

from models.ingest.dead_letter import DeadLetter
from streams.client.feed import Feed
from streams.client.read_model import ReadModel
from streams.client.reader import Record, Since
from streams.client.rillet import Rillet

__all__ = ["DeadLetter", "Feed", "ReadModel", "Record", "Rillet", "Since"]

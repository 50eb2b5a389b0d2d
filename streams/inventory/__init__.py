"""What there is on a cluster: topics and tables, what they hold, who reads them, what they are worth and cost.

::

    broker ──┬─► cluster: topics, partitions, settings, offsets ───┐
             ├─► groups: consumer groups, lag, sizes on disk ──────┤
             ├─► sample: the newest records of each partition ─────┼─► look ─► models.inventory ─► Asset
             └─► metrics.quality: the newest reports ──────────────┘    │          ▲
                                                                        │          └─ proposal: how foreign
    inventory.assets ─► ledger: first seen, gone, forgotten ◄───────────┤             records become events
                                                                        └─► terminal, page, odcs, open_lineage

Reads only, by consumers that join no group and commit nothing; ``ledger`` alone writes, and only when told to. It needs
nothing of Rillet on the cluster. What a broker does not tell (the embedded one no groups, sizes or settings) is null.
"""

from streams.inventory.look import Inventory, look

__all__ = ["Inventory", "look"]

"""What is known of the data of a running cluster, as one page of HTML that fetches nothing: value, quality, inventory.

::

    inventory.look ──────────────┐
    metrics.quality, .checks ────┼─► gathered ─► page ─► written
    alerts, metrics.value ───────┘

It reads and shows, and measures nothing of its own.
"""

"""A shop's own topic, carried into the topics of Rillet::

look ──► families: whose events they are        run ──► records (streams.log) ──► outbox ──► events.*, catalog.items
     └─► proposal (streams.inventory)               └── commits what was delivered       └─► events.dead-letter
"""

"""The HTTP API: reads what Rillet publishes from a read model of its own, posts events, asks the workers.

It ranks nothing itself and keeps nothing that the topics do not hold: its folder may be deleted at any time.
"""

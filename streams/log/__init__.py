"""Event logs of real shops, from files to typed events: CSV, TSV, JSON lines or Parquet, read by a mapping.

Nothing here talks to Kafka."""

from streams.log.events import Logged
from streams.log.reader import Log, read_log

__all__ = ["Log", "Logged", "read_log"]

"""Ingest: bytes to typed events or rejections, whole batches at a time."""

from models.ingest.catalog import IngestCatalog
from models.ingest.events import Ingest

__all__ = ["Ingest", "IngestCatalog"]

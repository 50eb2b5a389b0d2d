"""Ingest: bytes to typed events or rejections, whole batches at a time."""

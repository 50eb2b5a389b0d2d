"""The shared knowledge base: what is known of items, learned from every partition and the catalogue."""

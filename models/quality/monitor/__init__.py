"""Monitor: whether a window of a source is like those before it, and as its contract demands."""

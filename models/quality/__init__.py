"""Quality: how good each source is, by field and window of event time."""

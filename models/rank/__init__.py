"""Rank: merge the sources, filter, diversify, and say why."""

"""Retrieve: hundreds of candidates a user from many named sources, each one file with one contract."""

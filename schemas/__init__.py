"""The contracts: typed events in, typed recommendations and metrics out, and the catalogue of topics.

Pure definitions. Nothing here does I/O, reads a clock or knows how a message travels.
"""

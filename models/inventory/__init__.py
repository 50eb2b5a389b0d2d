"""What a topic holds, told from a sample of it: pure inference, no I/O.

::

    records ──► content ──► columns ──┬─► formats, personal data
                                      ├─► key, time column
                                      └─► scores of the sample
    groups, topology ──► lineage ──► what feeds what, down to recommendations
    observed + catalogue ──► asset ──► history: first and last seen, gone, forgotten
"""

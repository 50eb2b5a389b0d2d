"""``rillet doctor``: looks at settings, machine, broker, topics and the workers' group, and tells what is amiss.

It changes nothing. Each file holds checks of one kind; a check takes a ``Patient`` and yields findings.
"""

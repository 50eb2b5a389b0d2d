"""Input and output: agents, tables, topics, brokers and the command line. Thinking happens in ``models``."""

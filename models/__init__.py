"""Pure computation, one folder or file a stage; the same code runs online (agents) and offline (evaluation).

Time, randomness and settings come in as arguments. Nothing here imports Faust, Kafka, RocksDB or HTTP.
"""

"""What becomes of a producer that cannot go on."""

from confluent_kafka import KafkaError

from streams.api.post import Post
from streams.settings import load


def test_only_a_fatal_error_of_the_producer_ends_the_process() -> None:
    ended: list[BaseException] = []
    post = Post(load(environ={}), ended.append)
    post._failed(KafkaError(KafkaError._TRANSPORT, "away"))
    assert ended == []
    post._failed(KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, "lost", True))
    assert len(ended) == 1

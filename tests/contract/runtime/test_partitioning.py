"""Keys go where Kafka's own clients put them."""

from aiokafka.partitioner import DefaultPartitioner
from aiokafka.partitioner import murmur2 as theirs
from hypothesis import given, strategies

from watchword.runtime.partitioning import murmur2, partitioner

AVAILABLE = (1, 3)


@given(strategies.binary(max_size=80))
def test_a_key_goes_where_every_client_of_kafka_puts_it(key: bytes) -> None:
    every = list(range(24))
    assert murmur2(key) == theirs(key)
    assert partitioner(key, every, every) == DefaultPartitioner()(key, every, every)


def test_a_record_without_a_key_goes_to_a_partition_that_has_a_leader() -> None:
    assert {partitioner(None, (0, 1, 2, 3), AVAILABLE) for _ in range(64)} == set(AVAILABLE)
    assert partitioner(None, (5,), ()) == 5

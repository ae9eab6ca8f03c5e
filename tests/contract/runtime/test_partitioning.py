"""Keys go where Kafka's own clients put them."""

from aiokafka.partitioner import DefaultPartitioner
from aiokafka.partitioner import murmur2 as theirs
from hypothesis import given, strategies

from watchword.runtime.partitioning import murmur2, partition_of


@given(strategies.binary(max_size=80))
def test_a_key_goes_where_every_client_of_kafka_puts_it(key: bytes) -> None:
    every = list(range(24))
    assert murmur2(key) == theirs(key)
    assert partition_of(key, len(every)) == DefaultPartitioner()(key, every, every)

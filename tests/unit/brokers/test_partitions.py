"""Keys fall where Apache Kafka's default partitioner puts them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictq.brokers.partitions import murmur2, partition_of


@pytest.mark.parametrize(
    ("key", "signed"),
    [
        # From org.apache.kafka.common.utils.UtilsTest.testMurmur2
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_equals_kafkas(key: bytes, signed: int) -> None:
    assert murmur2(key) == signed % 2**32


@given(key=st.binary(max_size=64), partitions=st.integers(1, 1024))
def test_a_partition_is_within_range(key: bytes, partitions: int) -> None:
    assert 0 <= partition_of(key, partitions) < partitions

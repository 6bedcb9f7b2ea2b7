"""Names of keys."""

from predictq.brokers.redis.keys import settled_key, stream_key


def test_a_partition_of_one_endpoint_has_one_hash_tag() -> None:
    requests, predictions = (stream_key(f"p.e.{what}", 3) for what in ("requests", "predictions"))
    assert requests == "{p.e.3}:requests"
    assert predictions == "{p.e.3}:predictions"
    assert settled_key(requests, "p.e.a", "m").startswith("{p.e.3}:")


def test_topics_without_an_endpoint_have_keys_too() -> None:
    assert stream_key("p.commits", 0) == "{p.commits.0}:"

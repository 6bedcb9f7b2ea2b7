"""Requests put together for one predict call."""

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from predictq.brokers import Record
from predictq.messages import new_request
from predictq_workers.minibatches import Work, cut

RECORD = Record("t", 0, "0", b"", None, {}, 0.0, 0)
REQUEST = new_request(request_id="r", endpoint="e", instances=[1], deployments=[], now=0.0)


@given(st.lists(st.integers(1, 30), max_size=40), st.integers(1, 20))
def test_every_request_is_in_one_mini_batch_that_is_as_full_as_may_be(sizes: list[int], most: int) -> None:
    stops = list(accumulate(sizes))
    works = [Work(at, RECORD, REQUEST, "t", stops[at] - size, stops[at]) for at, size in enumerate(sizes)]
    batches = list(cut(works, most))

    assert [work for batch in batches for work in batch] == works
    totals = [sum(work.stop - work.start for work in batch) for batch in batches]
    assert all(total <= most or len(batch) == 1 for total, batch in zip(totals, batches, strict=True))
    following = [batch[0].stop - batch[0].start for batch in batches[1:]]
    assert all(total + size > most for total, size in zip(totals[:-1], following, strict=True))

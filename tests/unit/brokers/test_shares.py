"""How partitions are shared out."""

from hypothesis import given
from hypothesis import strategies as st

from predictq.brokers.sqlite.assignment import share_of


@given(shift=st.integers(0, 10), partitions=st.integers(1, 1024), members=st.integers(1, 64))
def test_the_shares_are_even_and_leave_nothing_out(shift: int, partitions: int, members: int) -> None:
    shares = [share_of(rank, shift, partitions, members) for rank in range(members)]
    assert sum(shares) == partitions
    assert max(shares) - min(shares) <= 1

"""How members of a group on Kafka come and go, below the adapter, by each driver."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

import pytest
from tests.contract.brokers.conftest import PATIENCE, Rig, eventually

from predictq.brokers.kafka.driver import Committed, Driver, Member, Place
from predictq.brokers.kafka.drivers.confluent_driver import open_driver as open_confluent_driver
from predictq.brokers.kafka.drivers.python_driver import open_driver as open_python_driver
from predictq.brokers.kafka.options import options_of
from predictq.errors import BrokerUnavailable


class Share:
    """What a member holds; it lets go of everything at once."""

    def __init__(self) -> None:
        self.held: set[Place] = set()

    def assigned(self, places: Sequence[Place]) -> None:
        self.held |= set(places)

    def holds_back(self, _places: Sequence[Place]) -> bool:
        return False

    def parting(self, _places: Sequence[Place]) -> Mapping[Place, Committed]:
        return {}

    def revoked(self, places: Sequence[Place]) -> None:
        self.held -= set(places)


class Members:
    """Of a group that reads one topic, polled by nobody but the test."""

    def __init__(self, driver: Driver, group: str, topic: str) -> None:
        self._driver = driver
        self._told = (group, topic)
        self.shares: dict[Member, Share] = {}

    def add(self) -> Member:
        group, topic = self._told
        share = Share()
        member = self._driver.member(
            group=group,
            instance=None,
            topics=(topic,),
            listener=share,
            session_seconds=60.0,
            rebalance_seconds=60.0,
            max_fetch_bytes=1 << 20,
        )
        self.shares[member] = share
        return member

    def remove(self, member: Member) -> None:
        del self.shares[member]
        member.close(leave=True)

    def poll(self, timeout_seconds: float) -> list[int]:
        """Each once; how many partitions they have."""
        for member in self.shares:
            member.poll(timeout_seconds, 1)
        return sorted(len(share.held) for share in self.shares.values())

    def close(self) -> None:
        for member in self.shares:
            member.close(leave=True)


@pytest.fixture(params=[open_python_driver, open_confluent_driver], ids=["kafka", "kafka+confluent"])
def driver(request: pytest.FixtureRequest, kafka_url: str) -> Driver:
    """Each driver, below the adapter."""
    opened: Driver = request.param(options_of(kafka_url))
    return opened


def test_a_group_comes_to_rest_although_its_members_look_only_now_and_then(driver: Driver, kafka_url: str) -> None:
    rig = Rig(kafka_url)
    with closing(rig), closing(Members(driver, rig.other_group, rig.requests)) as members:
        for shares in ([4], [2, 2], [1, 1, 1, 1]):
            while len(members.shares) < len(shares):
                members.add()
            # Most of what happens falls between two polls.
            eventually(lambda shares=shares: members.poll(0.0) == shares, f"shares of {shares}")  # type: ignore[misc]


@pytest.mark.parametrize("amid_a_join", [False, True])
def test_a_member_that_holds_nothing_leaves_at_once(driver: Driver, kafka_url: str, amid_a_join: bool) -> None:
    """Else the others wait for it until its session has run out."""
    rig = Rig(kafka_url)
    with closing(rig), closing(Members(driver, rig.keeper, rig.dead_letters)) as members:
        members.add()
        eventually(lambda: members.poll(0.01) == [1], "one has the only partition")
        idle = members.add()
        eventually(lambda: members.poll(0.01) == [0, 1] and _count(rig) == 2, "the other has none")
        if amid_a_join:
            newcomer = members.add()
            # The one with the partition does not come back, so this join has no end; it is begun by heartbeats.
            for _ in range(100):
                newcomer.poll(0.005, 1)
                idle.poll(0.005, 1)
        before = _count(rig)
        idle.close(leave=True)
        assert _count(rig) == before - 1


def _connections(member: Any) -> list[Any]:
    """Those of kafka-python, which is what joins with either driver."""
    joined = getattr(member, "_group", member)
    return list(joined._consumer._client._manager._conns.values())


def test_a_coordinator_that_took_no_offsets_in_time_is_asked_over_new_connections(
    driver: Driver, kafka_url: str
) -> None:
    rig = Rig(kafka_url)
    with closing(rig), closing(Members(driver, rig.keeper, rig.dead_letters)) as members:
        member = members.add()
        eventually(lambda: members.poll(0.01) == [1], "it has the only partition")
        [place] = members.shares[member].held
        standing = {place: Committed(0, "noted")}

        before = _connections(member)
        assert before

        with pytest.raises(BrokerUnavailable, match="the group's coordinator: no answer"):
            member.commit(standing, 0.0)

        eventually(lambda: not any(each.connected for each in before), "all are cut")
        member.commit(standing, PATIENCE)
        assert member.committed([place], PATIENCE) == standing
        assert members.poll(0.01) == [1], "it is a member still"


def test_a_member_that_is_closed_at_any_stage_of_its_join_is_not_waited_for(driver: Driver, kafka_url: str) -> None:
    rig = Rig(kafka_url)
    with closing(rig), closing(Members(driver, rig.other_group, rig.requests)) as members:
        members.add()
        eventually(lambda: members.poll(0.01) == [4], "one has everything")
        for polls in range(1, 9):
            visitor = members.add()
            for _ in range(polls):
                visitor.poll(0.002, 1)
            members.remove(visitor)
        members.add()
        eventually(lambda: members.poll(0.01) == [2, 2], "the next has its half")


def _count(rig: Rig) -> int:
    members = rig.lag(rig.dead_letters, rig.keeper).members
    assert members is not None
    return members

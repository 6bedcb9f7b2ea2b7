"""Which deployments owe an answer."""

from collections import Counter

from predictq.ids import new_id
from predictq.settings import DeploymentSettings
from predictq_producers.stamping import Stamp


def live() -> DeploymentSettings:
    return DeploymentSettings(endpoint="e", model="m")


def canary(of: str, share: float) -> DeploymentSettings:
    return DeploymentSettings(endpoint="e", model="m", role="canary", of=of, share=share)


def shadow() -> DeploymentSettings:
    return DeploymentSettings(endpoint="e", model="m", role="shadow")


def test_all_live_deployments_answer_and_shadows_are_not_listed() -> None:
    stamp = Stamp({"a": live(), "s": shadow(), "b": live()})
    assert stamp.deployments(new_id()) == ["a", "b"]


def test_without_live_deployments_nobody_answers() -> None:
    assert Stamp({}).deployments(new_id()) == []


def test_canaries_answer_their_shares_instead_of_the_one_they_name() -> None:
    stamp = Stamp({"a": live(), "b": live(), "c": canary("a", 0.2), "d": canary("a", 0.3)})
    ids = [new_id() for _ in range(20_000)]
    chosen = Counter(tuple(stamp.deployments(each)) for each in ids)

    assert set(chosen) == {("a", "b"), ("c", "b"), ("d", "b")}
    assert abs(chosen["c", "b"] / len(ids) - 0.2) < 0.02
    assert abs(chosen["d", "b"] / len(ids) - 0.3) < 0.02


def test_the_same_id_is_always_answered_by_the_same() -> None:
    deployments = {"a": live(), "c": canary("a", 0.5)}
    ids = [new_id() for _ in range(100)]
    assert [Stamp(deployments).deployments(i) for i in ids] == [Stamp(deployments).deployments(i) for i in ids]

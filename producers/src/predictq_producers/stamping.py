"""Which deployments owe an answer to a request: decided once, by the producer, and carried in the request."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from predictq.settings import DeploymentSettings

__all__ = ["Stamp"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """A deployment that answers a share of the requests of another."""

    name: str
    share: float


class Stamp:
    """Stamps the requests of one endpoint.

    Every live deployment answers; a canary stands in for the one it names, on a share of the requests that a hash of
    the id decides, so that the same id always gives the same answer. Shadows are never listed: they answer everything.
    """

    def __init__(self, deployments: Mapping[str, DeploymentSettings]) -> None:
        self._live = [name for name, d in deployments.items() if d.role == "live"]
        self._canaries: dict[str, list[Canary]] = {}
        for name, deployment in deployments.items():
            if deployment.role == "canary" and deployment.of is not None and deployment.share is not None:
                canary = Canary(name=name, share=deployment.share)
                self._canaries.setdefault(deployment.of, []).append(canary)

    @property
    def answers(self) -> bool:
        """Whether there is a deployment that answers."""
        return bool(self._live)

    def deployments(self, request_id: str) -> list[str]:
        """Names of the visible deployments that owe an answer; empty where there are none."""
        if not self._canaries:
            return self._live
        return [_chosen(request_id, live, self._canaries.get(live, ())) for live in self._live]


def _chosen(request_id: str, live: str, canaries: Sequence[Canary]) -> str:
    digest = hashlib.blake2b(f"{live}\x1f{request_id}".encode(), digest_size=8).digest()
    drawn = int.from_bytes(digest, "big") / 2**64
    for canary in canaries:
        drawn -= canary.share
        if drawn < 0:
            return canary.name
    return live

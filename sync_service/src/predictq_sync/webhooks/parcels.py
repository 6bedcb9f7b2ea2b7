"""Parcels: what goes to a receiver in one push, a single event or, to a webhook with `batch`, several as an array."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from predictq.ids import derived_id
from predictq_sync.webhooks.claiming import Claimed

__all__ = ["Parcel", "parcels_of"]

TRIED_AGAIN_TOGETHER = frozenset({408, 425, 429})
"""Of the statuses 4xx those that say nothing about what was sent."""


class Parcel(NamedTuple):
    """A push that is to be made."""

    id: str
    """Its `webhook-id`, the same as long as the same deliveries go together."""
    body: bytes
    holds: Sequence[Claimed]
    """At least one; all of one webhook, or of one request's callback."""


def parcels_of(
    claimed: Iterable[Claimed],
    bodies: Mapping[str, bytes],
    *,
    is_batched: Callable[[Claimed], bool],
    max_events: int,
    max_bytes: int,
) -> Iterator[Parcel]:
    """Those of these deliveries, in their order. `bodies` are JSON objects, by delivery."""
    together: dict[str | None, list[Claimed]] = {}
    for each in claimed:
        if not is_batched(each):
            yield Parcel(each.id, bodies[each.id], (each,))
        elif _was_refused(each):
            yield _several([each], bodies)
        else:
            together.setdefault(each.webhook_id, []).append(each)
    for some in together.values():
        yield from _cut(some, bodies, max_events, max_bytes)


def _cut(some: Sequence[Claimed], bodies: Mapping[str, bytes], max_events: int, max_bytes: int) -> Iterator[Parcel]:
    first, size = 0, 0
    for at, each in enumerate(some):
        length = len(bodies[each.id]) + len(_head(each)) + 1
        if at > first and (at - first == max_events or size + length > max_bytes):
            yield _several(some[first:at], bodies)
            first, size = at, 0
        size += length
    yield _several(some[first:], bodies)


def _several(some: Sequence[Claimed], bodies: Mapping[str, bytes]) -> Parcel:
    body = b"[" + b",".join(_head(each) + bodies[each.id][1:] for each in some) + b"]"
    return Parcel(derived_id("parcel", *(each.id for each in some)), body, some)


def _head(claimed: Claimed) -> bytes:
    """What an event begins with when it cannot be told by the header of its push."""
    return b'{"id":"' + claimed.id.encode() + b'",'


def _was_refused(claimed: Claimed) -> bool:
    """Whether the receiver did not like what it was sent: then the one at fault must not hold up its neighbours."""
    status = claimed.history[-1]["status"] if claimed.history else None
    return status is not None and 400 <= status < 500 and status not in TRIED_AGAIN_TOGETHER

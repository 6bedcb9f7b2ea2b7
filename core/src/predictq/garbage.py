"""The cyclic garbage collector, set for a process that loads much once and then makes many short-lived values."""

import gc

__all__ = ["settle_garbage_collection"]

YOUNG_VALUES = 50_000
"""More than a mini-batch holds at a time: its values go by reference counts before the collector looks at them."""


def settle_garbage_collection() -> None:
    """Call when everything is loaded: looking at it again and again costs over a quarter of the throughput."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_VALUES, 10, 10)

"""When a schedule is due, the days on which the clocks change included."""

from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predictq_producers.schedules.ticks import Ticks

BERLIN = ZoneInfo("Europe/Berlin")
SPRING = datetime(2026, 3, 28, 12, tzinfo=BERLIN).timestamp()
AUTUMN = datetime(2026, 10, 24, 12, tzinfo=BERLIN).timestamp()
DAY = 86_400.0
CRONS = ("30 2 * * *", "0 2,3 * * *", "*/20 * * * *", "15 * * * *", "0 0 1 * *", "5 4 * * MON#1", "30 */6 * * * *")


def said(cron: str, after: float, until: float) -> list[str]:
    return [tick.isoformat() for tick in Ticks(cron, "Europe/Berlin").between(after, until, most=1000)]


@pytest.mark.parametrize(
    ("cron", "spring", "autumn"),
    [
        # The hour that is left out: right after it. The hour that is repeated: once.
        ("30 2 * * *", ["2026-03-29T03:00:00+02:00"], ["2026-10-25T02:30:00+02:00"]),
        # Two that fall together are one.
        ("0 2,3 * * *", ["2026-03-29T03:00:00+02:00"], ["2026-10-25T02:00:00+02:00", "2026-10-25T03:00:00+01:00"]),
        ("0 9 * * *", ["2026-03-29T09:00:00+02:00"], ["2026-10-25T09:00:00+01:00"]),
    ],
)
def test_on_the_days_of_the_change(cron: str, spring: list[str], autumn: list[str]) -> None:
    assert said(cron, SPRING, SPRING + DAY - 3600) == spring
    assert said(cron, AUTUMN, AUTUMN + DAY) == autumn


def test_an_hourly_one_runs_each_hour_that_passes() -> None:
    assert len(said("0 * * * *", SPRING, SPRING + DAY)) == 24
    assert len(said("0 * * * *", AUTUMN, AUTUMN + DAY)) == 24


def test_a_time_that_comes_twice_in_a_night_hides_no_tick() -> None:
    again = datetime(2026, 10, 25, 2, 10, tzinfo=BERLIN, fold=1).timestamp()  # forty minutes after the first 02:30

    assert said("30 2 * * *", AUTUMN, again) == ["2026-10-25T02:30:00+02:00"]
    assert (
        Ticks("30 2 * * *", "Europe/Berlin").following(again)
        == datetime(2026, 10, 26, 2, 30, tzinfo=BERLIN).timestamp()
    )


@settings(deadline=None)  # the machine may be busy
@given(
    cron=st.sampled_from(CRONS),
    start=st.one_of(st.floats(SPRING, SPRING + DAY), st.floats(AUTUMN, AUTUMN + DAY), st.floats(1.7e9, 1.9e9)),
    parts=st.lists(st.floats(0, 20_000), min_size=1, max_size=6),
)
def test_however_time_is_cut_each_tick_comes_once_and_is_the_one_that_was_foretold(
    cron: str, start: float, parts: list[float]
) -> None:
    ticks = Ticks(cron, "Europe/Berlin")
    cuts = [start]
    for part in parts:
        cuts.append(cuts[-1] + part)

    piecewise = [tick for a, b in pairwise(cuts) for tick in ticks.between(a, b, most=10_000)]

    assert piecewise == ticks.between(cuts[0], cuts[-1], most=10_000)
    foretold, at = [], ticks.following(cuts[0])
    while at <= cuts[-1]:
        foretold.append(at)
        at = ticks.following(at)
    assert [tick.timestamp() for tick in piecewise] == foretold


def test_of_many_the_last_ones_are_given() -> None:
    assert said("* * * * *", SPRING, SPRING + 600)[-2:] == [
        tick.isoformat() for tick in Ticks("* * * * *", "Europe/Berlin").between(SPRING, SPRING + 600, most=2)
    ]

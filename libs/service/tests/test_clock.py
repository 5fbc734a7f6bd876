from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from remit_service.clock import SimulatedClock, WallClock

START = datetime(2026, 3, 2, 9, tzinfo=UTC)


def test_the_wall_clock_is_aware_and_in_utc():
    assert WallClock().now().tzinfo is UTC


def test_a_simulated_clock_stands_until_it_is_set():
    clock = SimulatedClock(START)
    assert clock.now() == clock.now() == START
    clock.set(START + timedelta(days=1))
    assert clock.now() == START + timedelta(days=1)
    clock.set(clock.now())


def test_a_simulated_clock_never_runs_backwards():
    clock = SimulatedClock(START)
    with pytest.raises(ValueError, match="backwards"):
        clock.set(START - timedelta(microseconds=1))
    assert clock.now() == START


def test_a_simulated_clock_is_in_utc_whatever_it_is_given():
    clock = SimulatedClock(START.astimezone(timezone(timedelta(hours=5, minutes=45))))
    assert clock.now().utcoffset() == timedelta(0)
    with pytest.raises(ValueError, match="needs a zone"):
        clock.set(START.replace(tzinfo=None) + timedelta(days=1))

"""UUIDv7 by the thousand: unique, each after the one before, whatever the clock does."""

from __future__ import annotations

import time
from itertools import islice
from uuid import RFC_4122, UUID

import pytest

from remit_events import ids
from remit_events.ids import new_ids


def test_they_are_uuid7_of_now_in_order() -> None:
    began = time.time_ns() // 1_000_000
    made = [*new_ids(5_000), *new_ids(1), *new_ids(5_000)]
    assert made == sorted(set(made))
    assert all(isinstance(one, UUID) and one.version == 7 and one.variant == RFC_4122 for one in made)
    assert 0 <= (made[0].int >> 80) - began <= 1_000
    assert new_ids(0) == []


def test_a_clock_set_back_gives_no_earlier_id(monkeypatch: pytest.MonkeyPatch) -> None:
    [before] = new_ids(1)
    monkeypatch.setattr(ids.time, "time_ns", lambda: 0)
    [after] = new_ids(1)
    assert after > before


def test_one_by_one_they_are_in_order_too() -> None:
    made = [*new_ids(1), *islice(ids.ids(), 1_000), *new_ids(1)]
    assert made == sorted(set(made))

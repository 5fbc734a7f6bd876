"""How often a race or a crash is tried: a short seeded part in `make test`, every round with `make chaos`.

def test_…(rounds, chance):
    for _ in range(rounds(full=200, short=10)): await asyncio.sleep(chance.random())
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

FULL, ROUNDS, SEED = "--full", "--rounds", "--seed"
# One that is always tried; `make chaos SEED=…` tries another.
USUAL_SEED = 20_260_302


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(FULL, action="store_true", help="all rounds of races and crashes, not a short part of them")
    parser.addoption(ROUNDS, type=int, help="so many rounds of each, whatever the test would choose")
    parser.addoption(SEED, type=int, default=USUAL_SEED, help="what chance begins with (default %(default)s)")


@pytest.fixture
def rounds(request: pytest.FixtureRequest) -> Callable[..., int]:
    """Call it with `full` and `short`; gives the one that was asked for. `short` 0: skipped unless all are."""

    def choose(*, full: int, short: int) -> int:
        given: int | None = request.config.getoption(ROUNDS)
        if given is not None:
            return given
        chosen = full if request.config.getoption(FULL) else short
        if not chosen:
            pytest.skip("only with all rounds (make chaos)")
        return chosen

    return choose


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption(SEED))


@pytest.fixture
def chance(seed: int, request: pytest.FixtureRequest) -> random.Random:
    """A test's own, from the seed and the test's name."""
    return random.Random(f"{seed} {request.node.name}")  # noqa: S311

"""What attacks are tried on: the four services with two sellers in them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from remit_testing.fixtures import MakeDatabase
from remit_testing.two_sellers import TwoSellers, two_sellers


@pytest.fixture(scope="module")
async def world(make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TwoSellers]:
    async with two_sellers(make_database, tmp_path_factory.mktemp("fuzz")) as made:
        yield made

"""The names these tests know the delivery's database and bus by."""

from __future__ import annotations

import pytest
from remit_testing.delivery import DeliveryDatabase, FaultyBus


@pytest.fixture
def database(delivery_database: DeliveryDatabase) -> DeliveryDatabase:
    return delivery_database


@pytest.fixture
def bus(delivery_bus: FaultyBus) -> FaultyBus:
    return delivery_bus

"""Addresses in events: one digest for every way of writing the same one."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from remit_testing.scheduling import make_customer

from remit_events.addresses import address_hash, address_of
from remit_events.state import Channel


@pytest.mark.parametrize(
    ("channel", "written", "plain"),
    [
        (Channel.EMAIL, " Ap@Kunde.Example ", "ap@kunde.example"),
        (Channel.SMS, "+49 151 1234 5678", "+4915112345678"),
        (Channel.LETTER, "Weg 1\n 10115  Berlin", "Weg 1 10115 Berlin"),
    ],
)
def test_the_same_address_has_one_digest(channel: Channel, written: str, plain: str) -> None:
    assert address_hash(channel, written) == address_hash(channel, plain) == sha256(plain.encode()).hexdigest()


@pytest.mark.parametrize("blank", [None, "", "  \n"])
def test_a_blank_address_is_none(blank: Any) -> None:
    customer = make_customer(email=blank, phone="+4915112345678")
    assert address_of(customer, Channel.EMAIL) is None
    assert address_of(customer, Channel.SMS) == "+4915112345678"

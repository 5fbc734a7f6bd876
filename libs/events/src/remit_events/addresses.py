"""Where a channel reaches a customer, and how an address stands in events: as a digest, for consent and caps."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256

from remit_events.state import Channel, CustomerState


def address_of(customer: CustomerState, channel: Channel) -> str | None:
    """The address as the customer's snapshot has it; None without one."""
    given = {Channel.EMAIL: customer.email, Channel.SMS: customer.phone, Channel.LETTER: customer.address}[channel]
    return given if given and given.strip() else None


@lru_cache(4096)  # a message's way asks for the same address several times
def address_hash(channel: Channel, address: str) -> str:
    """SHA-256 (hex): e-mail without regard to case, numbers without spaces, postal addresses by their words."""
    plain = "".join(address.split()) if channel is Channel.SMS else " ".join(address.split())
    return sha256((plain.lower() if channel is Channel.EMAIL else plain).encode()).hexdigest()

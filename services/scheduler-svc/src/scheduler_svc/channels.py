"""Which of a step's channels can be used for a customer. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from remit_events.state import Channel
from scheduler_svc.ledger import Address, Debtor

FALLBACK_ORDER = (Channel.EMAIL, Channel.SMS, Channel.LETTER)
NO_ADDRESS = Address(None, "no-address")


@dataclass(frozen=True, slots=True)
class Reach:
    """The channels to use, and why each of the others cannot be; `rerouted`: a letter instead of a closed one."""

    channels: tuple[Channel, ...]
    noted: Mapping[str, str]
    rerouted: bool = False


def reach(debtor: Debtor, wanted: Sequence[Channel], *, required: bool) -> Reach:
    """What of `wanted` reaches the customer.

    A required notice (overdue, demand) whose channels were closed by the customer or a bounce goes by letter.
    """
    noted = {str(c): reason for c in wanted if (reason := debtor.addresses[c].closed)}
    usable = in_order(c for c in wanted if str(c) not in noted)
    if not usable and required and "suppressed" in noted.values() and not debtor.addresses[Channel.LETTER].closed:
        return Reach((Channel.LETTER,), noted, rerouted=True)
    return Reach(usable, noted)


def fallback(debtor: Debtor, tried: Iterable[Channel], allowed: Iterable[Channel]) -> Reach:
    """After all tried channels certainly failed: the next reachable of e-mail, SMS, letter that may be used."""
    left, may = [c for c in FALLBACK_ORDER if c not in set(tried)], set(allowed)
    noted = {str(c): "not-allowed" if c not in may else debtor.addresses[c].closed or "" for c in left}
    usable = [c for c in left if not noted[str(c)]]
    return Reach(tuple(usable[:1]), {channel: why for channel, why in noted.items() if why})


def in_order(channels: Iterable[Channel]) -> tuple[Channel, ...]:
    return _in_order(frozenset(channels))


@cache
def _in_order(given: frozenset[Channel]) -> tuple[Channel, ...]:
    return tuple(channel for channel in FALLBACK_ORDER if channel in given)


def addresses(keys: Iterable[str], suppressed: Iterable[str], *, sms_consent: bool) -> dict[Channel, Address]:
    """How a customer can be reached: address known, not suppressed, consent where needed (a number is none).

    `keys` and `suppressed` are `channel:sha256`, as they stand in the tables.
    """
    closed = frozenset(suppressed)
    known = {key.partition(":")[0]: key for key in keys}
    return {channel: _address(channel, known.get(channel), closed, sms_consent) for channel in FALLBACK_ORDER}


def _address(channel: Channel, key: str | None, closed: frozenset[str], sms_consent: bool) -> Address:
    if key is None:
        return NO_ADDRESS
    sha = key.partition(":")[2]
    if key in closed:
        return Address(sha, "suppressed")
    if channel is Channel.SMS and not sms_consent:
        return Address(sha, "no-consent")
    return Address(sha)

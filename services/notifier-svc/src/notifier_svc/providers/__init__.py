"""Ways out: mailbox folder, SMTP, Twilio, letters folder. Each takes one message and says what became of it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from remit_events.state import Channel, SellerState, Stage

# Asked by a provider when it is about to begin: may this still leave? False: nothing was handed over.
Confirm = Callable[[], Awaitable[bool]]

_MAILBOX = re.compile(r"<?[^\s<>:]+@[^\s<>:,;]+>?")
_NUMBER = re.compile(r"\+?\d[\d\s()-]{6,}\d")
LONGEST_REASON = 300


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message to one address. `message_id` without angle brackets; `at` is the moment of sending."""

    delivery_id: UUID
    channel: Channel
    recipient: str
    customer_name: str
    customer_key: str
    seller: SellerState
    stage: Stage
    step: str
    language: str
    message_id: str
    at: datetime
    subject: str
    text: str
    html: str
    sms: str | None = None
    letter: bytes | None = None
    unsubscribe_url: str | None = None
    unsubscribe_mailto: str | None = None
    redirected_from: str | None = None
    traceparent: str | None = None


class Result(StrEnum):
    """`retry` only where it was certainly not accepted; `withdrawn` when Confirm said no."""

    SENT = "sent"
    REFUSED = "refused"
    RETRY = "retry"
    UNKNOWN = "unknown"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`closes`: why the address gets nothing more (hard-bounce, opt-out, invalid-number); `retry_after` in seconds;
    `provider_down`: it says something about the provider, not about this message."""

    result: Result
    provider_id: str = ""
    reason_class: str = ""
    reason: str = ""
    closes: str | None = None
    retry_after: float | None = None
    provider_down: bool = False

    @classmethod
    def sent(cls, provider_id: str) -> Outcome:
        return cls(Result.SENT, provider_id=storable(provider_id))

    @classmethod
    def refused(cls, reason_class: str, reason: str, *, closes: str | None = None) -> Outcome:
        return cls(Result.REFUSED, reason_class=reason_class, reason=scrubbed(reason), closes=closes)

    @classmethod
    def retry(cls, reason_class: str, reason: str, *, after: float | None = None, down: bool = False) -> Outcome:
        return cls(
            Result.RETRY, reason_class=reason_class, reason=scrubbed(reason), retry_after=after, provider_down=down
        )

    @classmethod
    def unknown(cls, reason: str) -> Outcome:
        return cls(Result.UNKNOWN, reason_class="unknown", reason=scrubbed(reason), provider_down=True)


WITHDRAWN = Outcome(Result.WITHDRAWN)


def scrubbed(reason: str) -> str:
    """A provider's words without addresses and numbers in them, which have no place in events and logs."""
    return _NUMBER.sub("…", _MAILBOX.sub("…", " ".join(storable(reason).split())))[:LONGEST_REASON]


def storable(said: str) -> str:
    """A peer's words as text PostgreSQL takes: no NUL, no half characters."""
    return said.encode("utf-8", "replace").decode().replace("\x00", "")


@dataclass(frozen=True, slots=True)
class Checked:
    """What trying a provider's credentials gave; `detail` says what to do when it failed."""

    provider: str
    ok: bool
    detail: str


class Provider(Protocol):
    name: str

    async def send(self, outgoing: Outgoing, confirm: Confirm) -> Outcome:
        """Never raises for what the peer does; asks `confirm` right before the first byte of the message."""
        ...

    async def check(self) -> Checked: ...

    async def close(self) -> None: ...

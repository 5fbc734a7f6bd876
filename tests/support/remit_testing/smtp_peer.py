"""A real SMTP server that keeps a ledger of every message it accepted."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from types import TracebackType
from typing import Any

from aiosmtpd.controller import Controller

from remit_testing.ports import free_port


@dataclass(frozen=True, slots=True)
class Accepted:
    """A message the server said 250 to; `began` (MAIL) and `at` are Unix seconds."""

    began: float
    at: float
    recipients: tuple[str, ...]
    raw: bytes
    message_id: str
    delivery_id: str
    subject: str

    @property
    def message(self) -> EmailMessage:
        return message_from_bytes(self.raw, policy=default)

    @property
    def text(self) -> str:
        body = self.message.get_body(("plain",))
        return body.get_content() if body else ""


@dataclass
class SmtpPeer:
    """Listens on 127.0.0.1 in a thread of its own; `delay` bounds the random seconds between taking and saying so."""

    delay: float = 0.0
    port: int = field(default_factory=free_port)
    ledger: list[Accepted] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(7)  # noqa: S311
        self._began: dict[Any, float] = {}
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port, ready_timeout=10)

    def __enter__(self) -> SmtpPeer:
        self._controller.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._controller.stop()

    @property
    def settings(self) -> dict[str, Any]:
        """notifier-svc's settings that make it send here for real, without a limit on the rate that matters."""
        return {
            "delivery_mode": "live",
            "smtp_host": "127.0.0.1",
            "smtp_port": self.port,
            "smtp_security": "none",
            "smtp_rate": 10_000,
        }

    def by_delivery(self) -> Counter[str]:
        """How often each delivery was accepted."""
        return Counter(one.delivery_id for one in self.ledger)

    def to(self, address: str) -> list[Accepted]:
        return [one for one in self.ledger if address in one.recipients]

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:  # noqa: N802
        self._began[session] = time.time()
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        headers = message_from_bytes(envelope.content, policy=default)
        self.ledger.append(
            Accepted(
                began=self._began.pop(session),
                at=time.time(),
                recipients=tuple(envelope.rcpt_tos),
                raw=bytes(envelope.content),
                message_id=str(headers["Message-ID"]),
                delivery_id=str(headers["X-Remit-Delivery"]),
                subject=str(headers["Subject"]),
            )
        )
        await asyncio.sleep(self._random.uniform(0, self.delay))
        return f"250 taken as {len(self.ledger)}"

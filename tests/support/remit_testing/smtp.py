"""A real SMTP peer (aiosmtpd) that can be told to misbehave, on the test's own loop.

async with MailServer() as server:
    server.script("DATA", "drop")      # take the message, then cut the line
    server.script("RCPT", "450 4.2.1 later")
    server.messages                    # what was accepted, in order
"""

from __future__ import annotations

import asyncio
import ssl
from collections import defaultdict, deque
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from types import TracebackType
from typing import Any, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass
class Taken:
    """A message whose body arrived. `answered` False: the sender never heard that it did."""

    sender: str
    recipients: list[str]
    raw: bytes
    answered: bool = True

    @property
    def message(self) -> EmailMessage:
        parsed = message_from_bytes(self.raw, policy=policy.SMTP)
        assert isinstance(parsed, EmailMessage)
        return parsed


@dataclass
class MailServer:
    """Answers 250 to everything unless scripted: a reply, `drop` (cut the line) or `slow` (answer after `delay`)."""

    tls: ssl.SSLContext | None = None
    login: tuple[str, str] | None = None
    delay: float = 0.2
    smtputf8: bool = False
    pipelining: bool = False
    messages: list[Taken] = field(default_factory=list)
    connections: int = 0
    most_at_once: int = 0
    port: int = 0

    def __post_init__(self) -> None:
        self._scripts: dict[str, deque[str]] = defaultdict(deque)
        self._open: set[Any] = set()
        self._server: asyncio.Server | None = None

    def script(self, command: str, *answers: str) -> None:
        """The next answers to MAIL, RCPT or DATA; `ok` for a usual one."""
        self._scripts[command].extend(answers)

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._session, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: Any, at: TracebackType | None) -> None:
        assert self._server
        self._server.close()
        self.hang_up()
        await asyncio.sleep(0)

    def hang_up(self) -> None:
        """Cuts every open connection, as a server that restarts."""
        for session in list(self._open):
            if session.transport is not None:
                session.transport.abort()

    def _session(self) -> SMTP:
        options: dict[str, Any] = {"enable_SMTPUTF8": self.smtputf8, "hostname": "mail.test"}
        if self.tls:
            options |= {"tls_context": self.tls, "require_starttls": True}
        if self.login:
            options |= {"authenticator": self._authenticate, "auth_required": True}
        return _Counted(self, options)

    def _authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, given: Any) -> AuthResult:
        assert isinstance(given, LoginPassword)
        return AuthResult(success=(given.login.decode(), given.password.decode()) == self.login, handled=False)

    async def handle_EHLO(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return ["250-PIPELINING", *responses] if self.pipelining else responses

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = await self._next("MAIL", server)
        if answer == "250 OK":
            envelope.mail_from = address
            envelope.mail_options.extend(options)
        return answer

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = await self._next("RCPT", server)
        if answer == "250 OK":
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.original_content or b""
        planned = self._scripts["DATA"][0] if self._scripts["DATA"] else "ok"
        if planned in ("ok", "slow", "drop"):
            taken = Taken(envelope.mail_from or "", list(envelope.rcpt_tos), content, answered=planned != "drop")
            self.messages.append(taken)
        answer = await self._next("DATA", server)
        return "250 2.0.0 Ok: queued as T" + str(len(self.messages)) if answer == "250 OK" else answer

    async def _next(self, command: str, server: SMTP) -> str:
        planned = self._scripts[command].popleft() if self._scripts[command] else "ok"
        if planned == "drop":
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
            return "250 OK"
        if planned == "slow":
            await asyncio.sleep(self.delay)
            return "250 OK"
        return "250 OK" if planned == "ok" else planned


class _Counted(SMTP):
    """One connection, counted."""

    def __init__(self, peer: MailServer, options: dict[str, Any]) -> None:
        self._peer = peer
        super().__init__(peer, loop=asyncio.get_running_loop(), **options)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self not in self._peer._open:
            self._peer._open.add(self)
            self._peer.connections += 1
            self._peer.most_at_once = max(self._peer.most_at_once, len(self._peer._open))
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._peer._open.discard(self)
        super().connection_lost(error)

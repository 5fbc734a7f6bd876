"""SMTP by pooled connections. What is certain and what is not follows the stage of the conversation (RFC 5321).

Up to and including RCPT nothing of the message was transferred: a lost connection there is certainly not accepted.
From DATA on, silence is no answer: the message may have been taken (RFC 1047), so the outcome is unknown.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from dataclasses import dataclass
from pathlib import Path

from aiosmtplib import (
    SMTP,
    SMTPException,
    SMTPHeloError,
    SMTPResponseException,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)

from notifier_svc.providers import WITHDRAWN, Checked, Confirm, Outcome, Outgoing
from notifier_svc.providers.email import ascii_address, compose, sender_of
from notifier_svc.providers.signing import Dkim
from notifier_svc.providers.smtp_line import Answer, Line, LineLostError, Refusal, announcement, as_data

IDLE_SECONDS = 25.0
_LOST = (SMTPServerDisconnected, SMTPTimeoutError, LineLostError, OSError, asyncio.TimeoutError)
_REFUSED = {"MAIL": "sender-refused", "RCPT": "recipient-refused", "DATA": "content-refused"}
_ENHANCED = re.compile(r"^\s*5\.(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """`security`: starttls, tls (implicit) or none; `timeout` seconds per command."""

    host: str
    port: int
    security: str
    username: str | None = None
    password: str | None = None
    timeout: float = 30.0
    ca_file: Path | None = None

    def client(self) -> SMTP:
        return SMTP(
            hostname=self.host,
            port=self.port,
            username=self.username,
            password=self.password,
            timeout=self.timeout,
            use_tls=self.security == "tls",
            start_tls=self.security == "starttls",
            local_hostname="localhost",
            tls_context=None if self.security == "none" else ssl.create_default_context(cafile=self.ca_file),
        )


class Smtp:
    """Sends through one server; keeps what connections it needed open for the next messages."""

    name = "smtp"

    def __init__(self, server: SmtpServer, signer: Dkim | None = None) -> None:
        self.server = server
        self.signer = signer
        self._idle: list[tuple[Line, float]] = []

    async def send(self, outgoing: Outgoing, confirm: Confirm) -> Outcome:
        try:
            envelope = _envelope(outgoing)
            announcement(*envelope)
            message = compose(outgoing)
            if self.signer:
                # OpenSSL lets go of the interpreter: half a millisecond another processor has meanwhile.
                message = await asyncio.to_thread(self.signer.sign, message, outgoing.at)
            data = as_data(message)
        except ValueError as error:
            return Outcome.refused("not-sendable", str(error))
        while True:
            try:
                line, fresh = await self._connected()
            except (SMTPException, *_LOST) as error:
                return Outcome.retry("not-connected", _said(error), down=True)
            if envelope[2] and not line.smtputf8:
                self._put_back(line)
                return Outcome.refused("address-not-supported", "the mail server does not take this address")
            try:
                allowed = await confirm()
            except BaseException:
                line.close()
                raise
            if not allowed:
                self._put_back(line)
                return WITHDRAWN
            outcome = await _converse(line, envelope, data)
            if outcome is not None:
                self._put_back(line)
                return outcome
            if fresh:
                return Outcome.retry("connection-lost", "lost before the message was transferred", down=True)
            # A pooled connection the server had closed meanwhile: nothing was transferred, so a new one at once.

    async def check(self) -> Checked:
        """Connects, encrypts and logs in, sends nothing."""
        client = self.server.client()
        try:
            await client.connect()
            await client.noop()
        except (SMTPException, ssl.SSLError, *_LOST) as error:
            where = f"{self.server.host}:{self.server.port} ({self.server.security})"
            return Checked(self.name, False, f"{where}: {_said(error)}; check SMTP_* and that the server is reachable")
        finally:
            client.close()
        return Checked(self.name, True, f"{self.server.host}:{self.server.port} takes mail from here")

    async def close(self) -> None:
        while self._idle:
            line, _ = self._idle.pop()
            await line.quit(timeout=2)

    async def _connected(self) -> tuple[Line, bool]:
        """A connection that is logged in, and whether it is new."""
        now = asyncio.get_running_loop().time()
        while self._idle:
            line, since = self._idle.pop()
            if line.is_open and now - since < IDLE_SECONDS:
                return line, False
            line.close()
        client = self.server.client()
        try:
            await client.connect()
            await _greet(client)
            return Line(client, self.server.timeout), True
        except BaseException:
            client.close()
            raise

    def _put_back(self, line: Line) -> None:
        if line.is_open:
            self._idle.append((line, asyncio.get_running_loop().time()))


def _envelope(outgoing: Outgoing) -> tuple[str, str, list[str]]:
    """Sender, recipient, and MAIL's options; ValueError when an address cannot be said."""
    sender = ascii_address(sender_of(outgoing))
    if sender is None:
        raise ValueError("the seller's sender address is not ASCII")
    recipient = ascii_address(outgoing.recipient)
    if recipient is None:
        return sender, outgoing.recipient, ["SMTPUTF8"]
    return sender, recipient, []


async def _converse(line: Line, envelope: tuple[str, str, list[str]], data: bytes) -> Outcome | None:
    """One mail transaction; None when the connection was lost before the message was transferred."""
    try:
        refusal = await line.announce(*envelope)
    except LineLostError:
        return None
    if refusal:
        return _answered(refusal.answer, _REFUSED[refusal.command], closes=_closes(refusal))
    try:
        answer = await line.deliver(data)
    except LineLostError as error:
        return Outcome.unknown(f"no answer after the message was transferred ({error})")
    if answer.code == 250:
        return Outcome.sent(answer.message.strip().split("\n")[0][:200])
    await line.reset()
    return _answered(answer, _REFUSED["DATA"], closes=_closes(Refusal("DATA", answer)))


def _closes(refusal: Refusal) -> str | None:
    bad = {"RCPT": _no_such_address, "DATA": _bad_mailbox}.get(refusal.command)
    return "hard-bounce" if bad and bad(refusal.answer) else None


def _answered(error: Answer, reason_class: str, *, closes: str | None = None) -> Outcome:
    reason = f"{error.code} {error.message}"
    if 400 <= error.code < 500:
        return Outcome.retry("not-now", reason, down=error.code == 421)
    if 500 <= error.code < 600:
        return Outcome.refused(reason_class, reason, closes=closes)
    return Outcome.unknown(f"an answer that is none: {reason}")


def _no_such_address(error: Answer) -> bool:
    """A refusal of RCPT that speaks of the address: 5.1.x, 5.2.1 (disabled), or 550/551/553 without such a code."""
    enhanced = _ENHANCED.match(error.message)
    return _bad_mailbox(error) if enhanced else error.code in (550, 551, 553)


def _bad_mailbox(error: Answer) -> bool:
    """By RFC 3463: bad destination mailbox, system or syntax, moved, or a mailbox that is disabled."""
    enhanced = _ENHANCED.match(error.message)
    if enhanced is None or error.code < 500:
        return False
    subject, detail = enhanced.groups()
    return (subject == "1" and detail in ("0", "1", "2", "3", "6", "10")) or (subject, detail) == ("2", "1")


async def _greet(client: SMTP) -> None:
    """EHLO, so that the server's extensions are known; HELO where it is too old for that."""
    if client.is_ehlo_or_helo_needed:
        try:
            await client.ehlo()
        except SMTPHeloError:
            await client.helo()


def _said(error: BaseException) -> str:
    if isinstance(error, SMTPResponseException):
        return f"{error.code} {error.message}"
    return f"{type(error).__name__}: {error}"

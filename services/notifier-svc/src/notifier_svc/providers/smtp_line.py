"""An SMTP connection that is logged in, from MAIL to the answer to the message, in as few round trips as it allows.

aiosmtplib connects, encrypts and logs in; it waits for every single answer, which costs more than all else about a
message. Here MAIL, RCPT and DATA are one write where the server offers PIPELINING (RFC 2920).
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from typing import NamedTuple, cast

from aiosmtplib import SMTP

_LONGEST_ANSWER = 65_536
_UNSAYABLE = re.compile("[\x00-\x1f\x7f<>]")
_GO_ON = 354


class Answer(NamedTuple):
    """`code` is -1 where it is no answer by RFC 5321."""

    code: int
    message: str


class Refusal(NamedTuple):
    """Which command of MAIL, RCPT and DATA was refused first, and how."""

    command: str
    answer: Answer


class LineLostError(Exception):
    """The connection ended or nothing came in time; it is closed."""


class Line(asyncio.Protocol):
    """Takes over from a client that is connected. `timeout` in seconds per round trip."""

    def __init__(self, client: SMTP, timeout: float) -> None:
        protocol = client.protocol
        if protocol is None or protocol.transport is None:
            raise LineLostError("not connected")
        self._transport = cast(asyncio.Transport, protocol.transport)
        self._timeout = timeout
        self._pipelining = client.supports_extension("pipelining")
        self.smtputf8 = client.supports_extension("smtputf8")
        self._read = bytearray()
        self._answers: deque[Answer] = deque()
        self._wanted = 0
        self._waiter: asyncio.Future[None] | None = None
        self._transport.set_protocol(self)

    @property
    def is_open(self) -> bool:
        return not self._transport.is_closing()

    async def announce(self, sender: str, recipient: str, options: list[str]) -> Refusal | None:
        """Up to the server's word to go on, nothing of the message is said. Raises LineLostError."""
        commands = announcement(sender, recipient, options)
        if self._pipelining:
            answers = await self._ask(b"".join(commands.values()), len(commands))
        else:
            answers = []
            for command in commands.values():
                answers += await self._ask(command, 1)
                if not _goes_on(answers[-1]):
                    break
        for name, answer in zip(commands, answers, strict=False):
            if not _goes_on(answer):
                await self._end(answers)
                return Refusal(name, answer)
        return None

    async def deliver(self, data: bytes) -> Answer:
        """The message, as `as_data` gives it, and what the server says to it. Raises LineLostError."""
        (answer,) = await self._ask(data, 1)
        return answer

    async def reset(self) -> None:
        """Ends a refused transaction so that the connection serves the next; it is closed when that fails."""
        try:
            await self._ask(b"RSET\r\n", 1)
        except LineLostError:
            return

    async def quit(self, timeout: float) -> None:
        self._timeout = timeout
        try:
            await self._ask(b"QUIT\r\n", 1)
        except LineLostError:
            return
        self.close()

    def close(self) -> None:
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._read += data
        while (end := _end_of_answer(self._read)) > 0:
            self._answers.append(_answer(bytes(self._read[:end])))
            del self._read[:end]
        if len(self._read) > _LONGEST_ANSWER:
            self.close()
        elif len(self._answers) >= self._wanted:
            self._wake()

    def connection_lost(self, _error: Exception | None) -> None:
        self._wake()

    async def _end(self, answers: list[Answer]) -> None:
        """After a refusal. A server that waits for the message all the same is left, for anything said would be it."""
        if answers[-1].code == _GO_ON:
            self.close()
        else:
            await self.reset()

    async def _ask(self, said: bytes, wanted: int) -> list[Answer]:
        self._answers.clear()  # what was said without being asked answers nothing
        self._read.clear()
        if self._transport.is_closing():
            raise LineLostError("the server ended the connection")
        self._wanted, self._waiter = wanted, asyncio.get_running_loop().create_future()
        self._transport.write(said)
        try:
            async with asyncio.timeout(self._timeout):
                await self._waiter
        except BaseException as error:
            self.close()  # an answer that comes now would be taken for one to what is said next
            if isinstance(error, TimeoutError):
                raise LineLostError("no answer in time") from None
            raise
        if len(self._answers) < wanted:
            raise LineLostError("the server ended the connection")
        return [self._answers.popleft() for _ in range(wanted)]

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def announcement(sender: str, recipient: str, options: list[str]) -> dict[str, bytes]:
    """The commands before the message, by name; ValueError when an address cannot be said."""
    if _UNSAYABLE.search(sender + recipient):
        raise ValueError("an address that SMTP cannot say")
    mail = " ".join([f"MAIL FROM:<{sender}>", *options])
    commands = {"MAIL": mail, "RCPT": f"RCPT TO:<{recipient}>", "DATA": "DATA"}
    return {name: f"{command}\r\n".encode("utf-8" if options else "ascii") for name, command in commands.items()}


def as_data(message: bytes) -> bytes:
    """As it is said after DATA (RFC 5321 4.5.2); ValueError for a line end that is none, which may hide a message."""
    lines = message.count(b"\r\n")
    if not message.endswith(b"\r\n") or message.count(b"\n") != lines or message.count(b"\r") != lines:
        raise ValueError("a line of the message does not end in CRLF")
    if b"\r\n." in message:
        message = message.replace(b"\r\n.", b"\r\n..")
    return message + b".\r\n"


def _goes_on(answer: Answer) -> bool:
    return answer.code in (250, 251, _GO_ON)


def _end_of_answer(read: bytearray) -> int:
    """Where the first answer ends, its continued lines with it; 0 while it is not whole."""
    begin = 0
    while (end := read.find(b"\n", begin) + 1) > 0:
        if read[begin + 3 : begin + 4] != b"-":
            return end
        begin = end
    return 0


def _answer(raw: bytes) -> Answer:
    lines = raw.decode("utf-8", "surrogateescape").splitlines()
    code = lines[-1][:3]
    if not (code.isascii() and code.isdigit()):
        return Answer(-1, lines[-1])
    return Answer(int(code), "\n".join(line[4:].strip() for line in lines))

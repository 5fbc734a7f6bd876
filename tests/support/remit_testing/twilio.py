"""A local stand-in for Twilio's REST API: the part that sends, lists and fetches messages, over real HTTP.

async with TwilioServer() as twilio:                 # TWILIO_BASE_URL=twilio.url
    twilio.script("429", "take-and-drop", "500")     # the next POSTs of a message
    twilio.messages                                  # what it took, in order
    twilio.signature(url, form)                      # as Twilio signs a callback
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlencode

from twilio.request_validator import RequestValidator

SID = "AC" + "0" * 32
TOKEN = "twilio-token-for-tests"

Reply = tuple[int, dict[str, Any], dict[str, str]]


@dataclass
class Message:
    """One message it knows; `direction` as Twilio names it."""

    sid: str
    to: str
    sender: str
    body: str
    status: str
    created_at: datetime
    direction: str = "outbound-api"
    status_callback: str | None = None
    error_code: int | None = None

    def out(self) -> dict[str, Any]:
        at = format_datetime(self.created_at)
        return {
            "sid": self.sid,
            "account_sid": SID,
            "to": self.to,
            "from": self.sender,
            "body": self.body,
            "status": self.status,
            "direction": self.direction,
            "date_created": at,
            "date_updated": at,
            "date_sent": at,
            "error_code": self.error_code,
            "num_segments": "1",
            "num_media": "0",
            "api_version": "2010-04-01",
            "uri": f"/2010-04-01/Accounts/{SID}/Messages/{self.sid}.json",
        }


@dataclass
class TwilioServer:
    """Speaks HTTP/1.1 itself, so that it can cut a line at any moment. `now` stamps what it takes."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    messages: list[Message] = field(default_factory=list)
    posts: int = 0
    largest_page: int = 1000
    delay: float = 1.0
    port: int = 0
    before_answer: Callable[[], Awaitable[None]] | None = None

    def __post_init__(self) -> None:
        self._script: deque[str] = deque()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def script(self, *answers: str) -> None:
        """What the next POSTs get: `ok`, a status (`429`, `500`, `401`), an error code (`code:21610`), `drop` (cut
        before taking it), `take-and-drop` (take it, cut the line), `slow` (take it, answer after `delay`)."""
        self._script.extend(answers)

    def receive(self, sender: str, to: str, body: str) -> Message:
        """An SMS that came in, to be found by polling."""
        return self._take(to, sender, body, status="received", direction="inbound")

    def signature(self, url: str, form: dict[str, str]) -> str:
        signed: str = RequestValidator(TOKEN).compute_signature(url, form)
        return signed

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: Any, at: TracebackType | None) -> None:
        assert self._server
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                line, *lines = head.split("\r\n")
                headers = {name.lower(): value for name, _, value in (one.partition(": ") for one in lines)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                method, target, _ = line.split(" ")
                reply = await self._answer(method, target, body.decode(), headers)
                if reply is None:
                    writer.transport.abort()
                    return
                await _write(writer, reply)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, method: str, target: str, body: str, headers: dict[str, str]) -> Reply | None:
        path, _, query = target.partition("?")
        if not headers.get("authorization", "").startswith("Basic "):
            return 401, {"code": 20003, "message": "Authenticate", "status": 401}, {}
        base = f"/2010-04-01/Accounts/{SID}"
        if path == f"{base}.json":
            return 200, {"sid": SID, "status": "active", "friendly_name": "test"}, {}
        if path == f"{base}/Messages.json" and method == "POST":
            return await self._post({name: values[0] for name, values in parse_qs(body).items()})
        if path == f"{base}/Messages.json":
            return 200, self._list({name: values[0] for name, values in parse_qs(query).items()}), {}
        found = next((m for m in self.messages if path == f"{base}/Messages/{m.sid}.json"), None)
        if found:
            return 200, found.out(), {}
        return 404, {"code": 20404, "message": "The requested resource was not found", "status": 404}, {}

    async def _post(self, form: dict[str, str]) -> Reply | None:
        self.posts += 1
        planned = self._script.popleft() if self._script else "ok"
        if planned == "drop":
            return None
        if planned.startswith("code:"):
            code = int(planned.removeprefix("code:"))
            return 400, {"code": code, "message": f"error {code} about {form['To']}", "status": 400}, {}
        if planned.isdecimal():
            status = int(planned)
            retry = {"Retry-After": "7"} if status == 429 else {}
            return status, {"code": 20000 + status, "message": f"answered {status}", "status": status}, retry
        sender = form.get("From") or form.get("MessagingServiceSid", "")
        taken = self._take(form["To"], sender, form["Body"], callback=form.get("StatusCallback"))
        if self.before_answer:
            await self.before_answer()
        if planned == "take-and-drop":
            return None
        if planned == "slow":
            await asyncio.sleep(self.delay)
        return 201, taken.out(), {}

    def _take(
        self, to: str, sender: str, body: str, *, status: str = "queued", direction: str = "outbound-api", **more: Any
    ) -> Message:
        sid = f"SM{len(self.messages) + 1:032d}"
        at = self.now().replace(microsecond=0)
        taken = Message(sid, to, sender, body, status, at, direction, more.get("callback"))
        self.messages.append(taken)
        return taken

    def _list(self, query: dict[str, str]) -> dict[str, Any]:
        found = [m for m in self.messages if query.get("To") in (None, m.to) and query.get("From") in (None, m.sender)]
        since = query.get("DateSent>")
        if since:
            found = [m for m in found if m.created_at.date().isoformat() >= since[:10]]
        page, size = int(query.get("Page", 0)), min(int(query.get("PageSize", 50)), self.largest_page)
        uri = f"/2010-04-01/Accounts/{SID}/Messages.json"
        following = urlencode(query | {"Page": str(page + 1)}) if len(found) > (page + 1) * size else ""
        return {
            "messages": [m.out() for m in found[::-1][page * size : (page + 1) * size]],
            "page": page,
            "page_size": size,
            "next_page_uri": f"{uri}?{following}" if following else None,
            "uri": uri,
        }


async def _write(writer: asyncio.StreamWriter, reply: Reply) -> None:
    import json

    status, content, headers = reply
    body = json.dumps(content).encode()
    lines = [f"HTTP/1.1 {status} Reply", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    await writer.drain()

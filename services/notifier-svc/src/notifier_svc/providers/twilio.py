"""SMS by Twilio's own SDK, over an HTTP client of ours: pooled, bounded, and able to speak to a stand-in."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.http import AsyncHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from notifier_svc.providers import WITHDRAWN, Checked, Confirm, Outcome, Outgoing

API = "https://api.twilio.com"
OPTED_OUT = 21610
PAGE = 1000
# Its list is in the order of sending, we look at when a message was made.
OUT_OF_ORDER = timedelta(days=1)
# "To" is no number, cannot get SMS, is a landline or unreachable for good.
BAD_NUMBERS = frozenset({21211, 21214, 21217, 21219, 21612, 21614, 30005, 30006})
# Retry-After of the last answer in this task: the SDK's exceptions drop the headers.
_retry_after: ContextVar[float | None] = ContextVar("retry_after", default=None)
_BEFORE_ANY_BYTE = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


@dataclass(frozen=True, slots=True)
class TwilioAccount:
    """`base_url` replaces https://api.twilio.com; `public_url` is where its callbacks reach us (None: polled)."""

    sid: str
    token: str
    sender: str | None = None
    messaging_service: str | None = None
    base_url: str = API
    public_url: str | None = None
    timeout: float = 15.0


@dataclass(frozen=True, slots=True)
class TwilioMessage:
    """A message of Twilio's list; `status` in its words."""

    sid: str
    status: str
    to: str
    sender: str
    body: str
    created_at: datetime
    inbound: bool
    error_code: int | None


class _HttpClient(AsyncHttpClient):  # type: ignore[misc]  # the SDK carries no types
    """Twilio's transport on httpx; the SDK's own would log bodies and numbers."""

    def __init__(self, base_url: str, timeout: float) -> None:
        super().__init__(logger=None, is_async=True)
        self.base_url = base_url.rstrip("/")
        self._client = httpx.AsyncClient(timeout=timeout, follow_redirects=False)

    async def request(
        self,
        method: str,
        uri: str,
        params: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,  # noqa: ARG002  # the SDK's signature; ours is the client's
        allow_redirects: bool = False,  # noqa: ARG002  # never
    ) -> Response:
        url = self.base_url + uri.removeprefix(API)
        answer = await self._client.request(
            method.upper(),
            url,
            params=dict(params) if params else None,
            data=dict(data or {}),
            headers=headers,
            auth=auth,
        )
        _retry_after.set(_seconds(answer.headers.get("retry-after")))
        return Response(answer.status_code, answer.text, answer.headers)

    async def close(self) -> None:
        await self._client.aclose()


class Twilio:
    """Sends SMS, lists messages, and tells whether the credentials work."""

    name = "twilio"

    def __init__(self, account: TwilioAccount) -> None:
        self.account = account
        self._http = _HttpClient(account.base_url, account.timeout)
        self._client = Client(account.sid, account.token, http_client=self._http)

    async def send(self, outgoing: Outgoing, confirm: Confirm) -> Outcome:
        sender = self._sender(outgoing)
        if not sender:
            return Outcome.refused("no-sender", "neither the seller nor TWILIO_FROM names a number to send from")
        callback = self.status_callback(outgoing.delivery_id)
        if not await confirm():
            return WITHDRAWN
        return await self.create(outgoing.recipient, outgoing.sms or "", sender, callback)

    async def create(self, to: str, body: str, sender: Mapping[str, str], callback: str | None = None) -> Outcome:
        """One message; `sender` is `from_` or `messaging_service_sid`."""
        extra = {"status_callback": callback} if callback else {}
        try:
            message = await self._client.messages.create_async(to=to, body=body, **sender, **extra)
        except TwilioRestException as error:
            return _refusal(error, _retry_after.get())
        except _BEFORE_ANY_BYTE as error:
            return Outcome.retry("not-connected", type(error).__name__, down=True)
        except (httpx.HTTPError, TwilioException, ValueError, KeyError) as error:
            return Outcome.unknown(f"no readable answer ({type(error).__name__})")
        if not message.sid:
            return Outcome.unknown("an answer without a message id")
        return Outcome.sent(message.sid)

    def _sender(self, outgoing: Outgoing) -> dict[str, str]:
        number = outgoing.seller.sms_from or self.account.sender
        if self.account.messaging_service and not outgoing.seller.sms_from:
            return {"messaging_service_sid": self.account.messaging_service}
        return {"from_": number} if number else {}

    def status_callback(self, delivery_id: UUID) -> str | None:
        """Where Twilio reports; the delivery's id in it tells us which, even when we lost the answer."""
        if self.account.public_url is None:
            return None
        return f"{self.account.public_url}/v1/callbacks/twilio/status?delivery_id={delivery_id}"

    async def fetch(self, sid: str) -> TwilioMessage | None:
        """One message by its id; None when Twilio knows none. Raises TwilioException, httpx.HTTPError."""
        try:
            return _read(await self._client.messages(sid).fetch_async())
        except TwilioRestException as error:
            if error.status == 404:
                return None
            raise

    async def listed(self, back_to: datetime, *, to: str | None = None) -> list[TwilioMessage]:
        """All messages, or all to a number, back to a moment; newest first. Raises TwilioException, httpx.HTTPError."""
        # The filter is by UTC day; a message that is still queued has no date_sent and is only found without it.
        wanted: dict[str, Any] = {"to": to} if to else {"date_sent_after": back_to.date()}
        found = []
        async for message in await self._client.messages.stream_async(page_size=PAGE, **wanted):
            found.append(_read(message))
            if found[-1].created_at < back_to - OUT_OF_ORDER:
                break
        return found

    async def check(self) -> Checked:
        try:
            account = await self._client.api.accounts(self.account.sid).fetch_async()
        except TwilioRestException as error:
            return Checked(self.name, False, f"{error.status} {error.msg}; check TWILIO_ACCOUNT_SID and the token")
        except (TwilioException, httpx.HTTPError) as error:
            return Checked(self.name, False, f"{type(error).__name__}: {self.account.base_url} cannot be reached")
        return Checked(self.name, account.status == "active", f"account {account.status}")

    async def close(self) -> None:
        await self._http.close()


def _refusal(error: TwilioRestException, retry_after: float | None) -> Outcome:
    """By status: 429 and missing credentials are certain and pass; other 4xx refuse; 5xx leave it open."""
    said = f"{error.status} {error.code or ''} {error.msg}"
    if error.status == 429:
        return Outcome.retry("rate-limited", said, after=retry_after)
    if error.status in (401, 403):
        return Outcome.retry("not-authorised", said, down=True)
    if error.status >= 500:
        return Outcome.unknown(said)
    return Outcome.refused(f"twilio-{error.code or error.status}", said, closes=closing_reason(error.code))


def closing_reason(code: int | None) -> str | None:
    """Why an error code closes the number for good; None when it does not."""
    if code == OPTED_OUT:
        return "opt-out"
    return "invalid-number" if code in BAD_NUMBERS else None


def _read(message: Any) -> TwilioMessage:
    return TwilioMessage(
        sid=message.sid,
        status=message.status or "",
        to=message.to or "",
        sender=message.from_ or "",
        body=message.body or "",
        created_at=message.date_created,
        inbound=(message.direction or "") == "inbound",
        error_code=message.error_code,
    )


def _seconds(header: str | None) -> float | None:
    return float(header) if header and header.isdigit() else None

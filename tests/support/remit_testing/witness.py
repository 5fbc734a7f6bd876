"""Listens inside invoice-svc: when each payment was committed, and what each balance answer said and when it was asked.

Both by the clock of this process, so that their order is the order in which they happened.
"""

from __future__ import annotations

import json
import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from remit_events.session import Session

_payment: ContextVar[str | None] = ContextVar("payment", default=None)


@dataclass(frozen=True, slots=True)
class Balance:
    """One answer about one invoice; `asked` lies before the reading of it."""

    asked: float
    balance_minor: int


@dataclass
class Witness:
    """`commits`: Unix seconds right after the commit, per Idempotency-Key; `balances` per invoice, oldest first."""

    commits: dict[str, float] = field(default_factory=dict)
    balances: dict[str, list[Balance]] = field(default_factory=dict)

    def __enter__(self) -> Witness:
        commit = self._commit = Session.commit

        async def seen(session: Session) -> None:
            await commit(session)
            self._committed()

        Session.commit = seen  # type: ignore[method-assign]  # it does the same, and is seen doing it
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        Session.commit = self._commit  # type: ignore[method-assign]

    def watch(self, app: FastAPI) -> None:
        """To be called before the app has had its first request."""
        app.add_middleware(_Watching, witness=self)

    def last_asked(self, invoice_id: str, before: float) -> Balance | None:
        """The last answer about the invoice that was asked for before a moment."""
        return next((one for one in reversed(self.balances.get(invoice_id, [])) if one.asked < before), None)

    def _committed(self) -> None:
        key = _payment.get()
        if key is not None:
            self.commits.setdefault(key, time.time())


class _Watching:
    def __init__(self, app: ASGIApp, witness: Witness) -> None:
        self._app, self._witness = app, witness

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path")
        if path == "/v1/payments":
            key = dict(scope["headers"])[b"idempotency-key"].decode()
            token = _payment.set(key)
            try:
                await self._app(scope, receive, send)
            finally:
                _payment.reset(token)
        elif path == "/v1/balances":
            await self._balances(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _balances(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked, body = time.time(), bytearray()

        async def sent(message: Message) -> None:
            body.extend(message.get("body", b""))
            await send(message)

        await self._app(scope, receive, sent)
        answer: dict[str, Any] = json.loads(body)
        for state in answer["invoices"]:
            found = Balance(asked, state["balance_minor"])
            self._witness.balances.setdefault(state["id"], []).append(found)

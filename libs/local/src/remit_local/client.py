"""Talking to the running services over HTTP: addresses and key from the environment or the data folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx

from remit_local.errors import RefusedError
from remit_local.home import SERVICES, Addresses, Home, variable

TIMEOUT = httpx.Timeout(60.0, connect=5.0)


class ApiError(RefusedError):
    """A service refused; the message is its problem as one line, `problem` the whole body."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        self.status = status
        self.problem = problem
        super().__init__(readable(problem))

    @property
    def slug(self) -> str:
        return str(self.problem.get("type", "")).rpartition(":")[2]


def readable(problem: dict[str, Any]) -> str:
    """A problem+json body as one line: what is wrong, per field, and the way out."""
    errors = problem.get("errors") or []
    if not errors:
        return str(problem.get("detail") or problem.get("title") or "Refused")
    parts = [f"{field_name(e.get('pointer', ''))}: {e.get('detail', '')}{_value(e)}" for e in errors]
    return "; ".join(parts)


def field_name(pointer: str) -> str:
    """`/customers/3/email` as `customers 3 email`."""
    return pointer.strip("/").replace("/", " ") or "body"


def _value(error: dict[str, Any]) -> str:
    value = error.get("value")
    return f" (given: {value!r})" if value not in (None, "", {}, []) else ""


class Remit:
    """A client of all four services; used as a context manager."""

    def __init__(
        self,
        urls: dict[str, str],
        key: str,
        *,
        transport: httpx.BaseTransport | None = None,
        folder: Path | None = None,
    ) -> None:
        """`folder`: the data folder the key was found in."""
        self._folder = folder
        headers = {"Authorization": f"Bearer {key}"}
        self._clients = {
            name: httpx.Client(base_url=url, headers=headers, timeout=TIMEOUT, transport=transport, trust_env=False)
            for name, url in urls.items()
        }

    @classmethod
    def of(cls, folder: Path) -> Remit:
        """For the installation in `folder`: REMIT_KEY and INVOICE_URL and so on come first; raises RefusedError."""
        home = Home(folder)
        urls = (home.note("running") or {}).get("urls") or Addresses.from_environment().urls()
        urls |= {name: url for name in SERVICES if (url := os.environ.get(f"{variable(name)}_URL"))}
        key = os.environ.get("REMIT_KEY")
        if not key:
            try:
                key = home.key_file.read_text(encoding="utf-8").strip()
            except FileNotFoundError:
                raise RefusedError(
                    f"there is no key in {home.folder}: start Remit first (`remit run`), "
                    "name its data folder with --data, or set REMIT_KEY"
                ) from None
            return cls(urls, key, folder=home.folder)
        return cls(urls, key)

    def __enter__(self) -> Remit:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for client in self._clients.values():
            client.close()

    def call(self, service: str, method: str, path: str, **options: Any) -> Any:
        """The JSON of a successful answer (None when empty); ApiError for a problem, RefusedError when unreachable."""
        client = self._clients[service]
        params = options.pop("params", None)
        if params:
            options["params"] = {name: value for name, value in params.items() if value is not None}
        try:
            answer = client.request(method, path, **options)
        except httpx.TransportError as error:
            raise RefusedError(
                f"{service} does not answer at {client.base_url} ({type(error).__name__}): is `remit run` running? "
                f"Another address goes in {variable(service)}_URL"
            ) from None
        if answer.status_code == 401 and self._folder:
            raise RefusedError(
                f"{service} at {client.base_url} does not know the key of {self._folder}: if the Remit there runs from "
                "another data folder, name it with --data or REMIT_DATA"
            )
        return _content(answer)

    def get(self, service: str, path: str, **params: Any) -> Any:
        return self.call(service, "GET", path, params=params)

    def post(self, service: str, path: str, body: Any = None, *, key: str | None = None, **params: Any) -> Any:
        """POST of a JSON body; `key` becomes the Idempotency-Key."""
        headers = {"Idempotency-Key": key} if key else {}
        return self.call(service, "POST", path, json=body if body is not None else {}, headers=headers, params=params)

    def pages(self, service: str, path: str, **params: Any) -> Iterator[dict[str, Any]]:
        """Every element of a list, page after page."""
        cursor: str | None = None
        while True:
            page = self.get(service, path, **{"limit": 200, **params, "cursor": cursor})
            yield from page["data"]
            cursor = page.get("next_cursor")
            if not cursor:
                return

    def invoice(self, number_or_id: str) -> dict[str, Any] | None:
        """The invoice with this number or id, or None."""
        if is_uuid(number_or_id) and (found := self._found("invoice-svc", f"/v1/invoices/{number_or_id}")):
            return found
        return next(self.pages("invoice-svc", "/v1/invoices", number=number_or_id), None)

    def need_invoice(self, number_or_id: str) -> dict[str, Any]:
        """As `invoice`; raises RefusedError when there is none."""
        found = self.invoice(number_or_id)
        if found is None:
            raise RefusedError(f"there is no invoice {number_or_id}: give its number as it was issued, or its id")
        return found

    def customer(self, reference: str) -> dict[str, Any] | None:
        """The customer with this external id or id, or None."""
        if is_uuid(reference) and (found := self._found("invoice-svc", f"/v1/customers/{reference}")):
            return found
        return self._found("invoice-svc", f"/v1/customers/by-external-id/{quote(reference, safe='')}")

    def _found(self, service: str, path: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self.get(service, path)
        except ApiError as error:
            if error.status != 404:
                raise
            return None
        return found


def is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _content(answer: httpx.Response) -> Any:
    if answer.is_success:
        return answer.json() if answer.content and "json" in answer.headers.get("content-type", "") else None
    try:
        problem = answer.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        problem = {"detail": f"HTTP {answer.status_code}: {answer.text[:200]}"}
    raise ApiError(answer.status_code, problem)

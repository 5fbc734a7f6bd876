"""What a user sees of a service's refusal: one line, the field, the way out."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from remit_local.client import ApiError, Remit, readable
from remit_local.errors import RefusedError
from remit_local.home import SERVICES

URLS = {name: f"http://{name}" for name in SERVICES}


def remit(answer: httpx.Response | Exception) -> Remit:
    def respond(request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        assert request.headers["Authorization"] == "Bearer rk_x"
        return answer

    return Remit(URLS, "rk_x", transport=httpx.MockTransport(respond))


def test_fields_are_named_with_value_and_way_out() -> None:
    problem = {
        "type": "urn:remit:problem:invalid-request",
        "title": "Invalid request",
        "status": 422,
        "detail": "2 fields are not acceptable",
        "errors": [
            {"pointer": "/customers/3/email", "code": "email", "detail": "This is no e-mail address.", "value": "x"},
            {"pointer": "", "code": "missing", "detail": "Name the customer.", "value": None},
        ],
    }
    line = readable(problem)
    assert line == "customers 3 email: This is no e-mail address. (given: 'x'); body: Name the customer."
    with remit(httpx.Response(422, json=problem)) as client, pytest.raises(ApiError) as caught:
        client.post("invoice-svc", "/v1/customers", {})
    assert (str(caught.value), caught.value.slug, caught.value.code) == (line, "invalid-request", 2)


def test_a_conflict_is_said_without_its_title() -> None:
    problem = {"type": "urn:remit:problem:not-held", "title": "Conflict", "detail": "The invoice is not on hold."}
    assert readable(problem) == "The invoice is not on hold."


def test_a_problem_without_fields() -> None:
    problem = {"type": "urn:remit:problem:not-found", "title": "Not found", "detail": "There is no invoice R1."}
    with remit(httpx.Response(404, json=problem)) as client:
        with pytest.raises(ApiError, match=r"^There is no invoice R1"):
            client.get("invoice-svc", "/v1/invoices/x")
        assert client.customer("nobody") is None


@pytest.mark.parametrize("answer", [httpx.Response(502, text="Bad gateway"), httpx.Response(500, json=["no problem"])])
def test_an_answer_that_is_no_problem(answer: httpx.Response) -> None:
    with remit(answer) as client, pytest.raises(ApiError, match=f"HTTP {answer.status_code}"):
        client.get("invoice-svc", "/v1/invoices")


def test_a_service_that_does_not_answer_is_named() -> None:
    with (
        remit(httpx.ConnectError("refused")) as client,
        pytest.raises(RefusedError, match=r"notifier-svc does not answer .* NOTIFIER_URL"),
    ):
        client.get("notifier-svc", "/v1/deliveries")


def test_lists_are_read_to_their_end() -> None:
    def respond(request: httpx.Request) -> httpx.Response:
        cursor = int(request.url.params.get("cursor", 0))
        following = str(cursor + 1) if cursor < 2 else None
        return httpx.Response(200, json={"data": [{"n": cursor}], "next_cursor": following})

    with Remit(URLS, "rk_x", transport=httpx.MockTransport(respond)) as client:
        assert [one["n"] for one in client.pages("invoice-svc", "/v1/invoices")] == [0, 1, 2]


def test_a_key_of_another_folder_is_told_apart(tmp_path: Path) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(401, json={"title": "Not authenticated"}))
    with (
        Remit(URLS, "rk_x", transport=transport, folder=tmp_path) as client,
        pytest.raises(RefusedError, match=rf"does not know the key of {tmp_path}: .*another data folder.*--data"),
    ):
        client.get("invoice-svc", "/v1/invoices")


def test_without_a_data_folder_it_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REMIT_KEY", raising=False)
    with pytest.raises(RefusedError, match="start Remit first"):
        Remit.of(tmp_path / "nothing")
    monkeypatch.setenv("REMIT_KEY", "rk_x")
    with Remit.of(tmp_path / "nothing"):
        pass

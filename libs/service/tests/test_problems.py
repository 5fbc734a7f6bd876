from __future__ import annotations

import json

from starlette.exceptions import HTTPException

from remit_service import faults
from remit_service.problems import FieldError, Problem, conflict, invalid, invalid_fields, not_found, shown


def test_a_problem_as_json():
    problem = Problem("too-odd", 409, "Too odd", "Try an even one.", extra={"number": 3}, headers={"Retry-After": "2"})
    answer = problem.response()
    assert json.loads(answer.body) == {
        "type": "urn:remit:problem:too-odd",
        "title": "Too odd",
        "status": 409,
        "detail": "Try an even one.",
        "number": 3,
    }
    assert (answer.status_code, answer.media_type) == (409, "application/problem+json")
    assert answer.headers["Retry-After"] == "2"


def test_the_usual_ones():
    assert not_found("invoice", 5).body()["detail"].startswith("There is no invoice 5.")
    assert (conflict("void", "x").status, invalid("/a", "c", "d").status) == (409, 422)
    assert invalid("/a", "c", "Do d.", 7).body()["errors"] == [
        {"pointer": "/a", "code": "c", "detail": "Do d.", "value": 7}
    ]
    many = invalid_fields([FieldError("/a", "x", "A."), FieldError("/b", "y", "B.")])
    assert many.detail == "2 fields are not acceptable, beginning with /a: A."


def test_values_are_shortened():
    assert shown("x" * 500) == "x" * 199 + "…"
    assert shown({"a": ["x" * 500]}).startswith('{"a":["xxx')
    assert shown(float("nan")) is None
    assert shown("\ud800") == "?"
    assert shown(object()).startswith("<object object")


def test_pointers():
    assert faults.pointer(("body", "a/b", 3, "c~d")) == "/a~1b/3/c~0d"
    assert faults.pointer(("query", "limit")) == "limit"
    assert faults.pointer(("header", "if-match")) == "if-match"
    assert faults.pointer(("body",)) == ""


def test_http_errors_of_the_framework():
    assert faults.of_http(HTTPException(405, headers={"Allow": "GET"})).headers == {"Allow": "GET"}
    odd = faults.of_http(HTTPException(418, "I'm a teapot"))
    assert (odd.status, odd.title, odd.slug) == (418, "I'm a teapot", "http-error")


def test_an_exception_of_ours_stays_itself():
    mine = conflict("x", "y")
    assert faults.problem_of(mine) is mine
    assert faults.problem_of(ZeroDivisionError("secret")).slug == "internal-error"
    assert faults.problem_of(ConnectionRefusedError()).status == 503

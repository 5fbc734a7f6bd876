"""RFC 9457 problems: one tree of errors with a stable `type`, each saying the way out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json, to_json
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"
TYPE_BASE = "urn:remit:problem:"
LONGEST_VALUE = 200


def json_pointer(path: Iterable[Any]) -> str:
    """RFC 6901: the keys and indexes from the root of a body."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field: `pointer` is a JSON pointer into the body, or a parameter's name."""

    pointer: str
    code: str
    detail: str
    value: Any = None

    def body(self) -> dict[str, Any]:
        return {"pointer": self.pointer, "code": self.code, "detail": self.detail, "value": shown(self.value)}


@dataclass(eq=False)
class Problem(Exception):  # noqa: N818  # the RFC’s word
    """An error with its HTTP answer; raised anywhere inside a request it rolls everything back."""

    slug: str
    status: int
    title: str
    detail: str
    errors: Sequence[FieldError] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.status} {self.slug}: {self.detail}"

    @property
    def type(self) -> str:
        return TYPE_BASE + self.slug

    def body(self) -> dict[str, Any]:
        """The problem as JSON; batches embed it in their results."""
        body: dict[str, Any] = {"type": self.type, "title": self.title, "status": self.status, "detail": self.detail}
        if self.errors:
            body["errors"] = [error.body() for error in self.errors]
        return body | dict(self.extra)

    def response(self) -> Response:
        content = to_json(self.body(), inf_nan_mode="null")
        return Response(content, self.status, dict(self.headers), MEDIA_TYPE)


def not_found(what: str, key: object) -> Problem:
    """404: there is no such thing, or it is another seller's."""
    detail = f"There is no {what} {shown(key)}. Check the id; it must belong to the seller of the key you use."
    return Problem("not-found", 404, "Not found", detail)


def conflict(slug: str, detail: str, title: str = "Conflict", **extra: Any) -> Problem:
    """409: the request is sound but the state of things does not allow it."""
    return Problem(slug, 409, title, detail, extra=extra)


def invalid(pointer: str, code: str, detail: str, value: Any = None) -> Problem:
    """422 about one field."""
    return invalid_fields([FieldError(pointer, code, detail, value)])


def invalid_fields(errors: Sequence[FieldError]) -> Problem:
    """422 about several fields at once."""
    what = "One field is" if len(errors) == 1 else f"{len(errors)} fields are"
    where = (errors[0].pointer or "the body") if errors else ""
    detail = f"{what} not acceptable, beginning with {where}: {errors[0].detail}" if errors else "Not acceptable."
    return Problem("invalid-request", 422, "Invalid request", detail, errors)


def forbidden(detail: str, slug: str = "forbidden") -> Problem:
    return Problem(slug, 403, "Forbidden", detail)


def shown(value: Any) -> Any:
    """A value fit to be quoted back: JSON-safe and short."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) < 2**53:
        return value
    if not isinstance(value, str):
        try:
            value = to_json(value, fallback=repr, inf_nan_mode="null").decode(errors="replace")
            if len(value) <= LONGEST_VALUE:
                return from_json(value)
        except (ValueError, TypeError, RecursionError):
            value = type(value).__name__
    value = value.encode("utf-8", "replace").decode()
    return value if len(value) <= LONGEST_VALUE else value[: LONGEST_VALUE - 1] + "…"

"""The OpenAPI 3.1 document: error bodies as problems, security, and nothing FastAPI would say otherwise."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from remit_service.problems import MEDIA_TYPE, TYPE_BASE

_REF = {"$ref": "#/components/schemas/Problem"}

_EXAMPLES: dict[int, tuple[str, str, str]] = {
    400: ("malformed-json", "Malformed JSON", "The body is not valid JSON: Expecting value at character 12."),
    401: ("unauthenticated", "Not authenticated", "Send your API key as `Authorization: Bearer rk_…`."),
    403: ("missing-scope", "Forbidden", "This key lacks the scope `invoices:write`."),
    404: ("not-found", "Not found", "There is no invoice 0199a1b2-…. Check the id."),
    409: ("idempotency-in-progress", "Still running", "A request with this Idempotency-Key is still running."),
    412: ("precondition-failed", "Changed meanwhile", "It was changed since you read it."),
    413: ("body-too-large", "Body too large", "The body is too large; send fewer items per request."),
    415: ("unsupported-media-type", "Unsupported media type", "The body must be JSON."),
    422: ("invalid-request", "Invalid request", "One field is not acceptable, beginning with /amount_minor."),
    428: ("precondition-required", "If-Match required", "Read the thing first and send its ETag as If-Match."),
    429: ("too-many-requests", "Too many requests", "Slow down; ask again after Retry-After seconds."),
    500: ("internal-error", "Internal error", "Something went wrong on our side and nothing was changed."),
    503: ("database-unavailable", "Not available just now", "The database cannot be reached just now."),
}

PROBLEM_SCHEMA: dict[str, Any] = {
    "title": "Problem",
    "description": "RFC 9457; `type` is stable, `detail` says the way out.",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "code", "detail"],
                "properties": {
                    "pointer": {"type": "string", "description": "JSON pointer into the body, or a parameter's name"},
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                    "value": {"description": "What was given, shortened"},
                },
            },
        },
    },
}


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For a route's `responses=`: each error with its body and an example."""
    return {status: _response(status) for status in statuses}


def _response(status: int) -> dict[str, Any]:
    slug, title, detail = _EXAMPLES[status]
    example: dict[str, Any] = {"type": TYPE_BASE + slug, "title": title, "status": status, "detail": detail}
    if status == 422:
        fault = {"pointer": "/amount_minor", "code": "greater_than", "detail": "This must be greater than 0."}
        example["errors"] = [fault | {"value": -5}]
    return {"description": title, "content": {MEDIA_TYPE: {"schema": _REF, "example": example}}}


def document(app: FastAPI) -> dict[str, Any]:
    """FastAPI's document with our errors in place of its own; computed once."""
    if app.openapi_schema is None:
        made = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes, tags=app.openapi_tags
        )
        schemas = made.setdefault("components", {}).setdefault("schemas", {})
        for theirs in ("HTTPValidationError", "ValidationError"):
            schemas.pop(theirs, None)
        schemas["Problem"] = PROBLEM_SCHEMA
        made["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        made["security"] = [{"key": []}]
        for operations in made.get("paths", {}).values():
            for operation in operations.values():
                if isinstance(operation, dict):
                    _ours(operation)
        app.openapi_schema = made
    return app.openapi_schema


def _ours(operation: dict[str, Any]) -> None:
    responses = operation.setdefault("responses", {})
    given = responses.get("422", {}).get("content", {}).get("application/json", {})
    if "HTTPValidationError" in str(given.get("schema", "")):
        responses["422"] = _response(422)
    # Whoever takes a body may find it too large; a JSON one may be none, of another type, or not what is wanted.
    body = operation.get("requestBody", {}).get("content", {})
    of_body = (400, 413, 415, 422) if "application/json" in body else (413,) if body else ()
    for status in (*of_body, 500, 503):
        responses.setdefault(str(status), _response(status))

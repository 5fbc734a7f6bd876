"""Batches: up to 1,000 items in, a result per item out, in input order; items are refused one by one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, TypeVar

from fastapi import Response
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, WithJsonSchema
from pydantic_core import to_json

from remit_service.faults import field_errors
from remit_service.problems import Problem, invalid_fields

MOST_ITEMS = 1000

In = TypeVar("In")
Out = TypeVar("Out")


def items_of(schema: str) -> Any:
    """The type of a batch's list: each item is judged by itself, and documented as `schema`."""
    document = {"type": "array", "maxItems": MOST_ITEMS, "items": {"$ref": f"#/components/schemas/{schema}"}}
    return Annotated[list[Any], Field(max_length=MOST_ITEMS), WithJsonSchema(document)]


class BatchIn(BaseModel):
    """A batch's body; its items are not looked into here."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Result(BaseModel):
    """What became of one item: `id` of what was stored, or the `problem` that kept it out."""

    model_config = ConfigDict(extra="allow")
    index: int
    status: int
    id: str | None = None
    problem: dict[str, Any] | None = None


class BatchOut(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "results": [
                        {"index": 0, "status": 201, "id": "0199a0c2-5a00-7000-8000-000000000003"},
                        {
                            "index": 1,
                            "status": 422,
                            "problem": {
                                "type": "urn:remit:problem:invalid-request",
                                "title": "Invalid request",
                                "status": 422,
                                "detail": "One field is not acceptable, beginning with /amount_minor.",
                            },
                        },
                    ]
                }
            ]
        }
    )
    results: list[Result]


async def run(
    adapter: TypeAdapter[list[In]],
    raw: Sequence[Any],
    act: Callable[[Sequence[In]], Awaitable[Sequence[Out | Problem]]],
    said: Callable[[Out], dict[str, Any]],
    *,
    atomic: bool,
) -> Response:
    """Validates, acts on what is valid and answers per item. With `atomic` any problem refuses all of it."""
    good, results = validated(adapter, raw)
    if not (atomic and results):
        outcomes = await act([one for _, one in good])
        for (index, _), outcome in zip(good, outcomes, strict=True):
            if isinstance(outcome, Problem):
                results[index] = {"index": index, "status": outcome.status, "problem": outcome.body()}
            else:
                results[index] = {"index": index} | said(outcome)
    ordered = [results[index] for index in sorted(results)]
    refused = [result for result in ordered if "problem" in result]
    if atomic and refused:
        detail = f"{len(refused)} of {len(raw)} items cannot be taken, so none was; mend those in `results`."
        raise Problem("batch-refused", 422, "Batch refused", detail, extra={"results": refused})
    return Response(to_json({"results": ordered}, inf_nan_mode="null"), media_type="application/json")


def validated(
    adapter: TypeAdapter[list[In]], raw: Sequence[Any]
) -> tuple[list[tuple[int, In]], dict[int, dict[str, Any]]]:
    """Valid items with their index, and results for the others. One pass when all are valid, else two."""
    try:
        return list(enumerate(adapter.validate_python(list(raw)))), {}
    except ValidationError as error:
        faults: dict[int, list[Any]] = {}
        for fault in error.errors(include_url=False):
            faults.setdefault(int(fault["loc"][0]), []).append(fault | {"loc": fault["loc"][1:]})
    good = [index for index in range(len(raw)) if index not in faults]
    items = adapter.validate_python([raw[index] for index in good])
    refused = {}
    for index, its in faults.items():
        problem = invalid_fields(field_errors(its))
        refused[index] = {"index": index, "status": problem.status, "problem": problem.body()}
    return list(zip(good, items, strict=True)), refused

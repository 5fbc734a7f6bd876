"""The OpenAPI document, the migrations, and that no statement asks the database what time it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

import invoice_svc
from remit_service.migrations import check, migrations_of, upgrade


def bodies(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every JSON body of the document, with where it is."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            where = f"{method.upper()} {path}"
            for kind, content in operation.get("requestBody", {}).get("content", {}).items():
                yield f"{where} request {kind}", content
            for status, response in operation["responses"].items():
                for kind, content in response.get("content", {}).items():
                    yield f"{where} {status} {kind}", content


def resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    if "anyOf" in schema:
        schema = next(one for one in schema["anyOf"] if one.get("type") != "null")
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


async def test_every_body_has_an_example_that_fits(world: Any) -> None:
    document = await world.get("/openapi.json")
    assert document["openapi"].startswith("3.1")
    seen = 0
    for where, content in bodies(document):
        schema = resolved(document, content["schema"])
        examples = [content["example"]] if "example" in content else schema.get("examples", [])
        assert examples, where
        whole = schema | {"components": document["components"]}
        for example in examples:
            faults = list(Draft202012Validator(whole).iter_errors(example))
            assert not faults, (where, faults[0].message)
        seen += 1
    assert seen > 100
    for operations in document["paths"].values():
        for operation in operations.values():
            assert {"401", "403"} <= set(operation["responses"])


async def test_migrations_agree_with_the_tables(make_database: Any) -> None:
    url, folder = await make_database(), migrations_of("invoice_svc")
    await upgrade(url, folder)
    assert await check(url, folder) == []


FORBIDDEN = re.compile(r"\bnow\(\)|CURRENT_|date\.today|utcnow|server_default", re.IGNORECASE)


def test_only_the_clock_says_what_time_it_is() -> None:
    for file in sorted(Path(invoice_svc.__file__).parent.rglob("*.py")):
        source = re.sub(r"_?clock\.now\(\)", "", file.read_text(encoding="utf-8"))
        assert not FORBIDDEN.search(source), file

"""Every route of every service, found in the OpenAPI documents, with a request to it that works.

for one in operations(world):
    body = one.living(world.ours)               # its example, about things this seller has
    answer = await one.send(world, world.ours, body)
    places(one.document, one.schema)            # the path of every text field in its body
"""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import quote

import httpx

from remit_testing.two_sellers import SERVICES, Party, TwoSellers, signed

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
DEEPEST = 6
_numbers = itertools.count(1)

Place = tuple[str | int, ...]


@dataclass(frozen=True)
class Operation:
    """A method on a path of a service; `spec` is what the document says of it."""

    service: str
    method: str
    path: str
    spec: dict[str, Any]
    document: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def reads(self) -> bool:
        return self.method == "GET"

    @property
    def statuses(self) -> set[int]:
        return {int(status) for status in self.spec["responses"]}

    @cached_property
    def schema(self) -> dict[str, Any] | None:
        content = self.spec.get("requestBody", {}).get("content", {})
        return resolved(self.document, content[JSON]["schema"]) if JSON in content else None

    @property
    def takes_form(self) -> bool:
        return FORM in self.spec.get("requestBody", {}).get("content", {})

    def parameters(self, where: str) -> list[dict[str, Any]]:
        return [one for one in self.spec.get("parameters", []) if one["in"] == where]

    def filled(self, ids: Mapping[str, str]) -> str:
        """The path with `ids` in their places."""
        path = self.path
        for one in self.parameters("path"):
            name = one["name"]
            path = path.replace(f"{{{name}}}", quote(ids[name], safe=""))
        return path

    def living(self, party: Party) -> Any:
        """A body by the document's example, naming what the party has; None where there is none."""
        return _alive(sample(self.document, self.schema), party) if self.schema else None

    async def send(
        self,
        world: TwoSellers,
        caller: Party | None,
        body: Any = None,
        *,
        about: Party | None = None,
        ids: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        **headers: str,
    ) -> httpx.Response:
        """Sends it as `caller`, to things of `about` (of the caller, unless given)."""
        whose = about or caller
        path = self.filled(ids if ids is not None else whose.ids if whose else {})
        if self.takes_form:
            return await signed(world, path, {"MessageSid": f"SM{next(_numbers)}", "From": "+4915100000000"})
        if self.method in ("PUT", "DELETE"):
            headers.setdefault("If-Match", "*")
        content = None if body is None else json.dumps(body).encode()  # in ASCII: also what is no Unicode
        if content is not None:
            headers.setdefault("Content-Type", JSON)
        raw = {name: value.encode("latin-1") for name, value in headers.items()}
        async with world.client(self.service, caller) as client:
            return await client.request(self.method, path, params=dict(params or {}), headers=raw, content=content)


def operations(world: TwoSellers) -> list[Operation]:
    found = []
    for service in SERVICES:
        document = world.service(service).app.openapi()
        for path, methods in document["paths"].items():
            found += [Operation(service, method.upper(), path, spec, document) for method, spec in methods.items()]
    return found


def resolved(document: Mapping[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Without references, and without null beside it."""
    while True:
        if "$ref" in schema:
            schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        elif "anyOf" in schema:
            schema = next(one for one in schema["anyOf"] if one.get("type") != "null")
        else:
            return schema


def sample(document: Mapping[str, Any], schema: dict[str, Any], name: str = "") -> Any:
    """A value by the schema's example, else of its parts."""
    whole = resolved(document, schema)
    if "examples" in whole or "example" in schema:
        return copy.deepcopy(schema["example"] if "example" in schema else whole["examples"][0])
    for fixed in ("const", "default"):
        if fixed in whole:
            return whole[fixed]
    if "enum" in whole:
        return whole["enum"][0]
    match whole.get("type"):
        case "object":
            required = whole.get("required", [])
            return {
                key: sample(document, part, key) for key, part in whole.get("properties", {}).items() if key in required
            }
        case "array":
            return [sample(document, whole["items"])]
        case "integer" | "number":
            return whole.get("minimum", 1)
        case "boolean":
            return False
    return {"date": "2026-03-02", "date-time": "2026-03-02T08:00:00Z"}.get(whole.get("format", ""), name or "words")


def places(
    document: Mapping[str, Any], schema: dict[str, Any], at: Place = ()
) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Where text may stand in a body: the way there, and what the document says of it."""
    whole = resolved(document, schema)
    if len(at) > DEEPEST:
        return
    if whole.get("type") == "string" and "enum" not in whole and "const" not in whole:
        yield at, whole
    for name, part in whole.get("properties", {}).items():
        yield from places(document, part, (*at, name))
    if isinstance(whole.get("items"), dict):
        yield from places(document, whole["items"], (*at, 0))
    if isinstance(whole.get("additionalProperties"), dict):
        yield from places(document, whole["additionalProperties"], (*at, "EUR"))


def objects(document: Mapping[str, Any], schema: dict[str, Any], at: Place = ()) -> Iterator[Place]:
    """Where objects with named fields stand in a body."""
    whole = resolved(document, schema)
    if len(at) > DEEPEST:
        return
    if "properties" in whole:
        yield at
    for name, part in whole.get("properties", {}).items():
        yield from objects(document, part, (*at, name))
    if isinstance(whole.get("items"), dict):
        yield from objects(document, whole["items"], (*at, 0))


def put(document: Mapping[str, Any], schema: dict[str, Any], body: Any, at: Place, value: Any) -> Any:
    """A copy of the body with `value` in that place; what is missing on the way is made."""
    made = copy.deepcopy(body)
    inner, part = made, resolved(document, schema)
    for here, following in itertools.pairwise((*at, None)):
        part = resolved(document, _part(part, here))
        if following is None:
            _set(inner, here, value)
        else:
            if _get(inner, here) in (None, [], {}):
                _set(inner, here, sample(document, part))
            inner = _get(inner, here)
    return made


def _part(schema: dict[str, Any], key: Any) -> dict[str, Any]:
    found: dict[str, Any] = schema["items"] if isinstance(key, int) else schema.get("properties", {}).get(key, {})
    return found or schema.get("additionalProperties") or {}


def _get(inside: Any, key: Any) -> Any:
    if isinstance(inside, list):
        return inside[key] if key < len(inside) else None
    return inside.get(key)


def _set(inside: Any, key: Any, value: Any) -> None:
    if isinstance(inside, list):
        inside[key:] = [value]
    else:
        inside[key] = value


def _alive(value: Any, party: Party) -> Any:
    """An example with ids of the party, and with names of new things that nobody has."""
    if isinstance(value, list):
        return [_alive(one, party) for one in value]
    if not isinstance(value, dict):
        return value
    made = {name: _alive(inner, party) for name, inner in value.items()}
    known = {
        "customer_id": party.ids["customer_id"],
        "customer_external_id": party.more["customer_external_id"],
        "invoice_id": party.more["open"],
        "invoice_ids": [party.more["open"]],
        "invoice_number": f"{party.word}-open",
        "seller_name": f"{party.word} Works",
        "by": "Mara Lind",
        "line": 1000 + next(_numbers),
        **{name: f"{name}-{next(_numbers)}" for name in ("external_id", "number", "reference")},
    }
    made |= {name: one for name, one in known.items() if name in made and made[name] is not None}
    made.pop("evidence_sha256", None)  # of other facts than there are
    return made

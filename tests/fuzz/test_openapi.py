"""Every operation of the four OpenAPI documents, with what fits its schema and what does not.

No 500, no status, content type or body that the document does not name. Half of the requests are about things that
exist, so that they come past the 404.
"""

from __future__ import annotations

import random
import warnings
from collections import Counter
from datetime import timedelta
from typing import Any

import httpx
import schemathesis
from hypothesis import given, seed
from remit_testing.operations import Operation, operations
from remit_testing.threads import Ask, in_thread, seeded
from remit_testing.two_sellers import SERVICES, TwoSellers
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)


async def test_every_answer_is_as_documented(world: TwoSellers, rounds: Any, seed: int, invariant: Any) -> None:
    known = {(one.service, one.method, one.path): one for one in operations(world)}
    fuzz = Fuzz(world, known, rounds(full=150, short=1), seed, both=rounds(full=2, short=1) == 2)
    await in_thread(fuzz.all)
    assert not fuzz.failures, "\n\n".join(f"{kind}\n{said}" for kind, said in sorted(fuzz.failures.items()))
    assert fuzz.statuses[200] + fuzz.statuses[201] > len(known) / 3
    invariant(32, "every operation answers as documented").held(
        rounds=sum(fuzz.statuses.values()), operations=len(known), undocumented=0, by_status=fuzz.said()
    )


class Fuzz:
    """What was sent and what came of it; failures by operation, the first of each kind."""

    def __init__(
        self,
        world: TwoSellers,
        known: dict[tuple[str, str, str], Operation],
        examples: int,
        seed: int,
        *,
        both: bool,
    ) -> None:
        """`both`: every operation with what fits and with what does not; else one of them each, by the seed."""
        self.world, self.known, self.examples, self.seed, self.both = world, known, examples, seed, both
        self.chance = random.Random(seed)  # noqa: S311  # no secret
        self.statuses: Counter[int] = Counter()
        self.failures: dict[str, str] = {}

    def said(self) -> str:
        return " ".join(f"{status}:{count}" for status, count in sorted(self.statuses.items()))

    def all(self, ask: Ask) -> None:
        for service in SERVICES:
            document = schemathesis.openapi.from_dict(self.world.service(service).app.openapi())
            for found in document.get_all_operations():
                operation = found.ok()
                for mode in MODES if self.both else [self.chance.choice(MODES)]:
                    self.one(ask, service, operation, mode)

    def one(self, ask: Ask, service: str, operation: Any, mode: GenerationMode) -> None:
        known = self.known[service, operation.method.upper(), operation.path]

        @seed(self.seed)
        @seeded(self.examples)
        @given(case=operation.as_strategy(generation_mode=mode))
        def tried(case: Any) -> None:
            self.tried(ask, known, case)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the generators, about schemas they cannot use wholly
            tried()

    def tried(self, ask: Ask, known: Operation, case: Any) -> None:
        if self.chance.random() < 0.5:
            names = {one["name"] for one in known.parameters("path")}
            case.path_parameters = {name: self.world.ours.ids[name] for name in names}
        if known.method in ("PUT", "DELETE"):
            case.headers["If-Match"] = "*"
        answer = ask(self.sent(known, case))
        self.statuses[answer.status_code] += 1
        try:
            case.validate_response(answer, checks=CHECKS)
        except (Failure, FailureGroup) as error:
            said = (
                f"{case.path_parameters} {case.query} {str(case.body)[:300]}: {answer.status_code} {answer.text[:500]}"
            )
            for failure in getattr(error, "exceptions", [error]):
                kind = f"{known}: {answer.status_code} {type(failure).__name__}"
                self.failures.setdefault(kind, f"{failure}\n{said}")

    async def sent(self, known: Operation, case: Any) -> httpx.Response:
        request = case.as_transport_kwargs(base_url="http://remit.test")
        kept = {
            name: request[name] for name in ("method", "url", "params", "json", "data", "headers") if name in request
        }
        kept["headers"] = {name: value for name, value in kept["headers"].items() if name.lower() != "authorization"}
        if isinstance(kept.get("data"), bytes | str):
            kept["content"] = kept.pop("data")
        async with self.world.client(known.service, self.world.ours) as client:
            answer = await client.request(**kept)
        answer.elapsed = timedelta()  # the transport in this process takes no time, and the checks want some
        return answer

"""Invariant 21: a GET changes nothing, whoever asks, whatever is asked; nor does a HEAD, or a GET with a body."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from remit_testing.operations import Operation, operations
from remit_testing.tables import Tables
from remit_testing.two_sellers import TwoSellers

OPERATIONAL = ("/livez", "/readyz", "/metrics", "/version", "/docs", "/openapi.json")
ODD = ("0", "true", "x", "2026-03-02", "2026-03-02T08:00:00Z", "open")


async def test_no_read_changes_a_table(world: TwoSellers, rounds: Any, invariant: Any) -> None:
    odd = ODD[: rounds(full=len(ODD), short=2)]
    reads = [one for one in operations(world) if one.reads]
    assert len(reads) > 40
    async with Tables(world.lapse.system.installation) as tables:
        before = await tables.digests()
        answered = [status for one in reads for status in await _asked(world, one, odd)]
        answered += await _asked_of_operations(world)
        changed = [name for name, digest in (await tables.digests()).items() if before[name] != digest]
    assert changed == []
    assert answered.count(200) > len(reads), "most of them found what they were asked for"
    assert not [status for status in answered if status >= 500]
    invariant(21, "a GET changes nothing").held(
        rounds=len(answered), routes=len(reads), tables=len(before), rows_changed=0
    )


async def _asked(world: TwoSellers, one: Operation, odd: Sequence[str]) -> list[int]:
    """As its seller and as nobody; plainly, with each parameter, with a body, and by HEAD."""
    names = [parameter["name"] for parameter in one.parameters("query")]
    given: list[dict[str, Any]] = [{}, *({name: value} for name in names if name != "wait" for value in odd)]
    given += [{name: world.ours.ids[name]} for name in names if name in world.ours.ids]
    statuses = [(await one.send(world, world.ours, params=params)).status_code for params in given]
    statuses.append((await one.send(world, None, about=world.ours)).status_code)
    statuses.append((await one.send(world, world.ours, {"on": False}, **{"Idempotency-Key": "read"})).status_code)
    async with world.client(one.service, world.ours) as client:
        statuses.append((await client.head(one.filled(world.ours.ids))).status_code)
        statuses.append((await client.options(one.filled(world.ours.ids))).status_code)
    return statuses


async def _asked_of_operations(world: TwoSellers) -> list[int]:
    found = []
    for service in world.lapse.system.services:
        async with world.client(service) as client:
            found += [(await client.get(path)).status_code for path in OPERATIONAL]
    return found

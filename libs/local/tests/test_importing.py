"""How rows travel: as many at once as a request may hold, in order."""

from __future__ import annotations

import json

import pytest

from remit_local.importing import BATCH, BATCH_BYTES, batches


@pytest.mark.parametrize(("rows", "address"), [(0, 0), (1, 0), (BATCH, 0), (2 * BATCH + 1, 0), (1200, 1000)])
def test_no_batch_is_longer_than_a_request_may_be(rows: int, address: int) -> None:
    bodies = [{"line": line, "address": "ß" * address} for line in range(rows)]
    cut = list(batches(bodies))
    assert [body for batch in cut for body in batch] == bodies
    assert len(cut) == {0: 0, 1: 1, BATCH: 1, 2 * BATCH + 1: 3, 1200: 3}[rows]
    for batch in cut:
        assert 0 < len(batch) <= BATCH
        assert sum(len(json.dumps(body, ensure_ascii=False).encode()) for body in batch) <= BATCH_BYTES

"""The two-year ledger that lies beside a checkout; a clone without it skips what needs it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("REMIT_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data"))
TWO_YEARS = SHARED / "receivables-2012-2013.csv"
# .ci/run sets it where the data lie: a path that went wrong then fails instead of leaving the oracles out.
REQUIRED = os.environ.get("REMIT_REQUIRE_DATA") == "1"
needs_shared = pytest.mark.skipif(not TWO_YEARS.exists() and not REQUIRED, reason=f"{TWO_YEARS} is not here")

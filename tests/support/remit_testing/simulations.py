"""Runs `remit simulate` as a user would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def simulate(ledger: Path, out: Path, *options: str) -> str:
    """Runs it in a process of its own and gives what it printed; a failure shows both streams."""
    command = [sys.executable, "-m", "remit_local", "simulate", str(ledger), "--out", str(out), *options]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=1200, check=False, env=os.environ | {"COLUMNS": "120"}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout

"""Programs run as a user to whom folders can be closed, also where the tests are run by root."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

PR_CAPBSET_DROP = 24
# capabilities(7): CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, by which root passes over permissions.
PASSING_OVER = (1, 2)


def remit(*arguments: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """`remit` with nothing of Remit in the environment but what is given."""
    kept = {name: value for name in ("PATH", "HOME", "LANG", "TMPDIR") if (value := os.environ.get(name))}
    return subprocess.run(
        [sys.executable, "-m", "remit_local", *map(str, arguments)],
        cwd=cwd,
        env=kept | environment,
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=_give_up_passing_over,
    )


def _give_up_passing_over() -> None:
    """For the program that is then run; another user than root has nothing to give up, and is refused it."""
    for capability in PASSING_OVER:
        ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)

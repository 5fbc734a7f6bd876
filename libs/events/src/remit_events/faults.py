"""Named points at which a test may kill the process, to prove that nothing is lost or doubled there.

Off unless FAULT_FILE names a file: then a process that reaches a point whose name stands in that file removes the
file (so that one process dies, once) and ends itself with SIGKILL, as a machine failure would.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

BEFORE_COMMIT = "before-commit"
AFTER_COMMIT = "after-commit-before-publish"
AFTER_PUBLISH = "after-publish-before-mark"
BEFORE_OFFSET = "after-commit-before-offset"
SENDING = "sending-before-provider"
ANSWERED = "answered-before-sent"
POINTS = (BEFORE_COMMIT, AFTER_COMMIT, AFTER_PUBLISH, BEFORE_OFFSET, SENDING, ANSWERED)

_file = Path(os.environ["FAULT_FILE"]) if os.environ.get("FAULT_FILE") else None


def point(service: str, name: str) -> None:
    """Dies here when the fault file says `service name`; costs nothing when no file is configured."""
    if _file is None:
        return
    try:
        if _file.read_text(encoding="utf-8") != f"{service} {name}":
            return
        _file.rename(_file.with_suffix(".hit"))  # atomic: of several processes only one wins
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)

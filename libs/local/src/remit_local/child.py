"""A service as a child of `remit run --processes`: `python -m remit_local.child PARENT invoice_svc run`."""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """Makes this process end when `parent` does, however that ends; only Linux can.

    At once rather than by a drain: the folder is free for another start as soon as the parent is gone.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the kernel was told
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    parent, module = sys.argv[1:3]
    del sys.argv[1:3]
    die_with(int(parent))
    runpy.run_module(module, run_name="__main__", alter_sys=True)

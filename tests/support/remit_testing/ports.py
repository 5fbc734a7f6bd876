"""Ports on which nobody listens, and which no other test is about to take: every worker has a range of its own."""

from __future__ import annotations

import itertools
import os
import random
import socket

# Below the ports the system gives out by itself.
FIRST, EACH, APART = 10_000, 2_000, 10
_WORKER = int((os.environ.get("PYTEST_XDIST_WORKER") or "gw0")[2:]) % 10
_BEGIN = FIRST + _WORKER * EACH
_OWN = list(range(_BEGIN, _BEGIN + EACH, APART))
_START = random.randrange(len(_OWN))  # noqa: S311  # two runs of the tests at once begin at different ones
_NEXT = itertools.cycle(_OWN[_START:] + _OWN[:_START])


def free_port() -> int:
    return free_ports(1)


def free_ports(count: int = 4) -> int:
    """The first of up to ten free ports in a row."""
    for first in itertools.islice(_NEXT, len(_OWN)):
        if all(_free(first + n) for n in range(count)):
            return first
    raise AssertionError(f"no {count} free ports in a row")


def _free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True

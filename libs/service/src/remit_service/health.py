"""What keeps a service from being ready, told by its background loops."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

ReadyCheck = Callable[[], Awaitable[str | None]]
"""Gives None when all is well, else the reason in one line; an exception counts as a reason."""

FAILURES_UNTIL_UNREADY = 3


class Health:
    """The loops that fail time after time; one failure is no reason to leave the load balancer."""

    def __init__(self) -> None:
        self._failures: dict[str, int] = {}
        self._last: dict[str, str] = {}
        self.draining = False

    def failed(self, name: str, reason: str, *, at_once: bool = False) -> int:
        """Notes one more failure in a row and gives how many there are; `at_once` counts the first already."""
        self._last[name] = reason
        self._failures[name] = max(self._failures.get(name, 0) + 1, FAILURES_UNTIL_UNREADY if at_once else 0)
        return self._failures[name]

    def well(self, name: str) -> None:
        self._failures.pop(name, None)
        self._last.pop(name, None)

    def reasons(self) -> dict[str, str]:
        """Why the service is not ready; empty when it is."""
        found = {name: self._last[name] for name, n in self._failures.items() if n >= FAILURES_UNTIL_UNREADY}
        return found | ({"drain": "the process is stopping"} if self.draining else {})

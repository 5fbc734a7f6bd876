"""`python -m scheduler_svc api|worker|migrate|run`."""

from __future__ import annotations

from remit_service.commands import main as run
from scheduler_svc.app import NAME, build
from scheduler_svc.settings import Settings


def main() -> None:
    run(NAME, Settings, build)


if __name__ == "__main__":
    main()

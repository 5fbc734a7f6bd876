"""`python -m invoice_svc api|worker|migrate|run|bootstrap|dlq|parked`."""

from __future__ import annotations

from invoice_svc import bootstrap
from invoice_svc.app import NAME, build
from invoice_svc.settings import Settings
from remit_service.commands import main as run


def main() -> None:
    run(NAME, Settings, build, [bootstrap.COMMAND])


if __name__ == "__main__":
    main()

"""`python -m invoice_svc api|worker|migrate|run`."""

from __future__ import annotations

from invoice_svc.app import NAME, build
from invoice_svc.settings import Settings
from remit_service.commands import main as run


def main() -> None:
    run(NAME, Settings, build)


if __name__ == "__main__":
    main()

"""Remit on one machine: embedded PostgreSQL, the four services in one process, the mailbox, the `remit` command."""

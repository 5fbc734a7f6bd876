"""Days and moments as options take them."""

from __future__ import annotations

from datetime import UTC, datetime

import typer


def parse_day(text: str) -> datetime:
    """Midnight of an ISO day, without a zone: whose day it is says the command. Raises BadParameter."""
    try:
        return datetime.strptime(text, "%Y-%m-%d")  # noqa: DTZ007 - a day, no moment
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no day of the calendar written as YYYY-MM-DD, like 2026-12-31") from None


def parse_moment(text: str) -> datetime:
    """A moment in UTC, a day being its midnight there; one with an offset is taken over. Raises BadParameter."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no moment: write it as 2026-12-31 or 2026-12-31T09:00, in UTC") from None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)

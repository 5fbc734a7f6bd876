"""`python -m X_svc dlq …` and `… parked …`: what is stuck in this service, wherever it runs."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any
from uuid import UUID

from remit_service import stuck
from remit_service.database import Database
from remit_service.one_shot import Command, Lines


def _declare_dlq(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="dead letters; `parked` ones wait behind an earlier event of their key")
    listing.add_argument("--all", action="store_true", dest="every", help="resolved ones too")
    showing = actions.add_parser("show", help="one with its event and history")
    showing.add_argument("id", type=int)
    replaying = actions.add_parser("replay", help="try again; an event that took effect after all takes no second one")
    replaying.add_argument("ids", type=int, nargs="+", metavar="ID")
    replaying.add_argument("--rate", type=float, help="at most so many per second")
    replaying.add_argument("--dry-run", action="store_true", help="only say how many")
    _says_why(replaying, required=False)
    discarding = actions.add_parser("discard", help="give up for good; what waits behind them goes on")
    discarding.add_argument("ids", type=int, nargs="+", metavar="ID")
    _says_why(discarding)


def _declare_parked(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="events the broker refused, and later ones of their keys")
    retrying = actions.add_parser("retry", help="publish all of these keys again, in their order")
    retrying.add_argument("keys", nargs="+", metavar="KEY")
    dropping = actions.add_parser("drop", help="give events up for good: no other service will ever see them")
    dropping.add_argument("ids", type=UUID, nargs="+", metavar="EVENT")
    _says_why(dropping)


def _says_why(parser: ArgumentParser, *, required: bool = True) -> None:
    parser.add_argument("--reason", required=required, default="", help="why; it is kept")
    parser.add_argument("--by", default=stuck.who(), help="who decides; it is kept (default: %(default)s)")


async def _dlq(db: Database, _settings: Any, given: Namespace) -> Lines:
    async with db.transaction() as session:
        if given.action == "list":
            rows = await stuck.letters(session, every=given.every)
            return stuck.aligned(stuck.LETTER_COLUMNS, rows) if rows else ["There are no dead letters."]
        if given.action == "show":
            return await stuck.letter(session, given.id)
        if given.action == "discard":
            return await stuck.discard(session, given.ids, reason=given.reason, by=given.by)
        how = {"dry_run": given.dry_run, "rate": given.rate}
        return await stuck.replay(session, given.ids, by=given.by, reason=given.reason, **how)


async def _parked(db: Database, _settings: Any, given: Namespace) -> Lines:
    async with db.transaction() as session:
        if given.action == "list":
            rows = await stuck.parked_events(session)
            return stuck.aligned(stuck.PARKED_COLUMNS, rows) if rows else ["No event is parked."]
        if given.action == "retry":
            return await stuck.retry_parked(session, given.keys)
        return await stuck.drop_parked(session, given.ids, reason=given.reason, by=given.by)


COMMANDS = (
    Command("dlq", "dead letters: list, show, replay, discard", _dlq, _declare_dlq),
    Command("parked", "events the broker refused: list, retry, drop", _parked, _declare_parked),
)

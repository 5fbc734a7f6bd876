"""`remit simulate`: a ledger in time-lapse, and what would have been sent, decided and escalated."""

from __future__ import annotations

import json
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import MofNCompleteColumn, TextColumn

from remit_local.cli import app
from remit_local.commands.acting import money
from remit_local.commands.importing import (
    CommaOption,
    DateOption,
    IgnoreOption,
    LedgerFile,
    MapOption,
    read_options,
    tell_notices,
    tell_problems,
)
from remit_local.console import complain, progress, quiet_logs, row, say, show, table
from remit_local.days import parse_day
from remit_local.errors import RefusedError
from remit_local.folders import must_be_writable
from remit_local.rule_files import read_ladder, read_policy
from remit_service.wording import counted

SOME_REJECTED = 3
NAMED = 5  # customers of a warning
WRITTEN = ("messages.csv", "decisions.csv", "escalations.csv", "summary.json", "chart.html")

OutOption = Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the result goes.")]
UntilOption = Annotated[
    datetime | None,
    typer.Option("--until", parser=parse_day, metavar="DATE", help="Last day (default: the last thing due)."),
]
FromOption = Annotated[
    datetime | None,
    typer.Option("--from", parser=parse_day, metavar="DATE", help="Older invoices enter then as old debt."),
]
PolicyOption = Annotated[
    Path | None, typer.Option("--policy", metavar="FILE.yaml", help="A follow-up policy for every customer.")
]
LadderOption = Annotated[
    str | None, typer.Option("--ladder", metavar="FILE.yaml|none", help="An escalation ladder, or none at all.")
]
ApproveOption = Annotated[
    str, typer.Option("--approve", metavar="auto|never", help="Approvals: given at once, or never.")
]
KeepOption = Annotated[
    Path | None, typer.Option("--keep", metavar="DIR", help="Keep databases and mailbox in this new folder.")
]


@app.command()
def simulate(
    file: LedgerFile,
    out: OutOption,
    until: UntilOption = None,
    first: FromOption = None,
    policy: PolicyOption = None,
    ladder: LadderOption = None,
    approve: ApproveOption = "auto",
    keep: KeepOption = None,
    mapping: MapOption = None,
    ignore_unknown: IgnoreOption = False,
    date_format: DateOption = None,
    decimal_comma: CommaOption = False,
) -> None:
    """Play a ledger through the very same services on a throwaway database; nothing leaves this machine.

    Writes messages.csv, decisions.csv, escalations.csv, summary.json and chart.html to DIR. Dates are UTC days.
    A long ledger is played on all processors, unless its databases are kept.
    Exit codes: 0 all rows taken, 3 some rejected, 2 unusable.
    """
    from remit_local.ledger_csv import read_ledger

    quiet_logs()
    ledger = read_ledger(file, read_options(mapping, ignore_unknown, date_format, decimal_comma))
    tell_notices(ledger)
    if approve not in ("auto", "never"):
        raise RefusedError(f"--approve {approve}: say auto or never")
    if first and until and until < first:
        raise RefusedError(f"--until lies before --from: give a day from {first:%Y-%m-%d} on")
    if not ledger.accepted:
        tell_problems(ledger, None)
        raise RefusedError(f"{file} has no row that can be taken")
    must_be_writable(out, WRITTEN)
    simulated = _play(
        keep,
        rows=ledger.accepted,
        first=_day(first),
        until=_day(until),
        approve=approve == "auto",
        **read_rules(policy, ladder),
    )
    write(out, simulated, file.name, _day(first))
    for one, reason in simulated.refused:
        complain(f"{one.kind.name.lower()} of {one.key} was refused: {reason}")
    say(f"In {out}: {', '.join(WRITTEN)}")
    tell_problems(ledger, out)
    if ledger.problems or simulated.refused:
        raise typer.Exit(SOME_REJECTED)


def read_rules(policy: Path | None, ladder: str | None) -> dict[str, Any]:
    """What of a scenario the two options say; a ladder's key and body, and whether anybody is escalated at all."""
    rules: dict[str, Any] = {"policy": read_policy(policy) if policy else None, "escalate": ladder != "none"}
    if ladder is not None and ladder != "none":
        body = read_ladder(Path(ladder))
        rules["ladder"] = (body.key or "ladder", body)
    return rules


def write(out: Path, simulated: Any, name: str, first: date | None = None) -> None:
    """The five files and the summary table."""
    from remit_local.chart import write_chart
    from remit_local.figures import figures
    from remit_local.outputs import write_decisions, write_escalations, write_messages

    out.mkdir(parents=True, exist_ok=True)
    found = simulated.harvest
    write_messages(out / "messages.csv", found.messages)
    write_decisions(out / "decisions.csv", found.decisions)
    write_escalations(out / "escalations.csv", found.rungs)
    ended = simulated.ended.date()
    result = figures(found.settlements, found.messages, found.decisions, found.rungs, ended, first)
    (out / "summary.json").write_text(json.dumps(result.summary, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    write_chart(out / "chart.html", result, f"Simulation of {name}")
    tell(result.summary)


def tell(summary: dict[str, Any]) -> None:
    """The summary as a table, and a warning where some cannot be reached."""
    facts = table("", "", title=f"{summary['from']} to {summary['until']}")
    for name in ("customers", "invoices", "disputed", "paid", "paid_late", "mean_days_to_pay", "mean_days_late"):
        row(facts, name.replace("_", " "), summary[name])
    row(facts, "messages", f"{summary['messages']:,} in {summary['contacts']:,} follow-up contacts")
    for group in ("messages_by_stage", "messages_by_step"):
        row(facts, group.replace("_", " "), _listed(summary[group]))
    for outcome, count in summary["decisions_by_outcome"].items():
        row(facts, f"steps {outcome}", f"{count:,}{_reasons(summary, outcome)}")
    row(facts, "escalations by rung", _listed(summary["escalations_by_rung"]))
    show(facts)
    if summary["unreachable"]["customers"]:
        _warn(**summary["unreachable"])


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none"


def _reasons(summary: dict[str, Any], outcome: str) -> str:
    """The rules behind an outcome; nothing where there is no more to say than the outcome."""
    head = f"{outcome}: "
    rules = {name.removeprefix(head): n for name, n in summary["decisions_by_rule"].items() if name.startswith(head)}
    return f" ({_listed(rules)})" if set(rules) != {outcome} else ""


def _warn(customers: list[str], invoices: int, amount_minor: dict[str, int]) -> None:
    owed = " and ".join(money(minor, currency) for currency, minor in amount_minor.items())
    named = ", ".join(customers[:NAMED]) + (" …" if len(customers) > NAMED else "")
    complain(
        f"Nothing reaches {counted(len(customers), 'customer')} ({named}): {counted(invoices, 'invoice')}, {owed}. "
        "Give them an email, an address, or a phone with sms_consent."
    )


def _play(keep: Path | None, **given: Any) -> Any:
    """The scenario of the given fields, played; here the services are loaded, a second's work."""
    from remit_local import side_by_side
    from remit_local.simulation import Scenario, play, throwaway

    scenario = Scenario(**given)
    agenda = scenario.agenda()
    first, last = agenda.next_at(), agenda.last_at()
    if first is None or last is None:
        raise RefusedError("nothing happens in this ledger from that day on: there is no invoice to follow")
    if scenario.until and scenario.until < first.date():
        raise RefusedError(f"--until {scenario.until}: nothing happens by then; give a day from {first:%Y-%m-%d} on")
    with progress(MofNCompleteColumn(), TextColumn("days")) as shown:
        end = min(filter(None, (scenario.until, last.date())))
        bar = shown.add_task("Simulating", total=max((end - first.date()).days, 1))

        def passed(at: datetime) -> None:
            day = (at - first).days
            shown.update(bar, completed=day, description=f"{at:%Y-%m-%d}")
            if day > (shown.tasks[0].total or 0):
                shown.update(bar, total=day)

        parts = [] if keep else side_by_side.shares(scenario.entered(), len(side_by_side.cores()))
        if len(parts) > 1:
            return side_by_side.play(scenario, parts, passed)
        with throwaway(keep) as (home, server):
            return play(scenario, home, server, passed)


def _day(given: datetime | None) -> date | None:
    return given.date() if given else None

"""After the crashes: was anything lost, sent twice or done twice? By the databases and the providers' ledgers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID, uuid5

from remit_local.home import SERVICES
from remit_testing.at_once import AMOUNT_MINOR, STEP
from remit_testing.smtp_peer import SmtpPeer
from remit_testing.stores import Stores, Told
from remit_testing.traffic import Traffic
from remit_testing.twilio import TwilioServer

# Where the owner and the others keep versions.
VERSIONS = {
    "invoice": {
        "invoice-svc": "SELECT id, version FROM invoice",
        "scheduler-svc": "SELECT invoice_id AS id, version FROM follow_up",
        "escalation-svc": "SELECT invoice_id AS id, invoice_version AS version FROM escalation_case",
    },
    "customer": dict.fromkeys(SERVICES, "SELECT id, version FROM customer"),
}
ENDED = ("sent", "failed", "unknown", "cancelled")


@dataclass
class Reckoning:
    """`faults` says what is wrong, one line each; `deliveries`, of them `texts`, and `steps` by how they ended."""

    faults: list[str] = field(default_factory=list)
    steps: Counter[str] = field(default_factory=Counter)
    deliveries: Counter[str] = field(default_factory=Counter)
    texts: Counter[str] = field(default_factory=Counter)

    def expect(self, what: str, wrong: Iterable[object]) -> None:
        found = [str(one) for one in wrong]
        if found:
            self.faults.append(f"{what}: {len(found)}, such as {', '.join(found[:3])}")


async def reckon(stores: Stores, traffic: Traffic, peer: SmtpPeer, twilio: TwilioServer) -> Reckoning:
    """Compares what was posted with what became of it."""
    result = Reckoning()
    told = await stores.told()
    await _timeline(result, stores, told)
    await _copies(result, stores)
    await _money(result, stores, traffic, told)
    touches = await _touches(result, stores)
    _messages(result, traffic, told, touches)
    await _steps(result, stores, traffic)
    await _mails(result, stores, peer)
    await _texts(result, stores, twilio)
    _escalations(result, traffic, told)
    return result


async def _timeline(result: Reckoning, stores: Stores, told: list[Told]) -> None:
    """The timeline has every event of all four services, once."""
    rows = await stores.rows("invoice-svc", "SELECT event_id FROM timeline_entry")
    there = Counter(row["event_id"] for row in rows)
    emitted = {one.event_id for one in told}
    result.expect("events missing in the timeline", emitted - there.keys())
    result.expect("timeline rows nobody emitted", there.keys() - emitted)
    result.expect("events twice in the timeline", (one for one, times in there.items() if times > 1))


async def _copies(result: Reckoning, stores: Stores) -> None:
    """Every service knows each invoice and each customer as invoice-svc does: in the newest version."""
    for what, statements in VERSIONS.items():
        of = {name: dict(tuple(row) for row in await stores.rows(name, sql)) for name, sql in statements.items()}
        newest = of.pop("invoice-svc")
        for name, known in of.items():
            wrong = (f"{one} {known.get(one)} of {newest[one]}" for one in newest if known.get(one) != newest[one])
            result.expect(f"{name}: not the newest {what}", wrong)


async def _money(result: Reckoning, stores: Stores, traffic: Traffic, told: list[Told]) -> None:
    """One payment, one event and a balance of zero for each payment posted; nothing paid that was not."""
    payments = await stores.rows("invoice-svc", "SELECT id, reference FROM payment")
    wanted = Counter(f"paid {number}" for number in traffic.paid.values())
    result.expect("payments that are not what was posted", Counter(row["reference"] for row in payments) - wanted)
    result.expect("payments lost", wanted - Counter(row["reference"] for row in payments))
    received = Counter(one.data["payment_id"] for one in told if one.type == "com.remit.payment.received.v1")
    result.expect("payments not told exactly once", (one for one in traffic.paid if received[one] != 1))
    invoices = await stores.rows("invoice-svc", "SELECT number, balance_minor, total_minor FROM invoice")
    paid = set(traffic.paid.values())
    result.expect(
        "balances", (r for r in invoices if r["balance_minor"] != (0 if r["number"] in paid else AMOUNT_MINOR))
    )
    result.expect("invoices lost or doubled", {len(traffic.overdue) + len(traffic.fresh)} - {len(invoices)})


@dataclass(frozen=True, slots=True)
class _Touch:
    """Per touch of notifier-svc, how its deliveries ended, the first one first."""

    statuses: tuple[str, ...]
    texted: bool

    @property
    def ended(self) -> bool:
        """Each by one delivery, but for an SMS that Twilio certainly does not have: that one goes by e-mail then."""
        again = self.texted and len(self.statuses) == 2 and self.statuses[0] == "failed"
        return self.statuses[-1:] != () and self.statuses[-1] in ENDED and (len(self.statuses) == 1 or again)


async def _touches(result: Reckoning, stores: Stores) -> dict[UUID, _Touch]:
    statement = """SELECT touch.id, bool_or(delivery.channel = 'sms') AS texted,
        array_remove(array_agg(delivery.status ORDER BY delivery.id), NULL) AS statuses
        FROM touch LEFT JOIN delivery ON delivery.touch_id = touch.id GROUP BY touch.id"""
    rows = await stores.rows("notifier-svc", statement)
    found = {row["id"]: _Touch(tuple(row["statuses"]), bool(row["texted"])) for row in rows}
    result.deliveries.update(status for touch in found.values() for status in touch.statuses)
    result.expect("touches without one ended delivery", (i for i, t in found.items() if not t.ended))
    return found


def _messages(result: Reckoning, traffic: Traffic, told: list[Told], touches: dict[UUID, _Touch]) -> None:
    """Every message asked for ended; there is one touch for each cause and no other."""
    due = [UUID(one.data["touch_id"]) for one in told if one.type == "com.remit.payment.due.v1"]
    invoices = [uuid5(UUID(one), "invoice") for one in traffic.fresh]
    thanks = [uuid5(UUID(one), "thanks") for one in traffic.paid]
    for what, wanted in (("reminders", due), ("invoices", invoices), ("thank-yous", thanks)):
        result.expect(
            f"{what} that did not end", (one for one in wanted if one not in touches or not touches[one].ended)
        )
    asked = {one: len(touches[one].statuses) if one in touches else 1 for one in due}
    result.expect("reminders asked for twice", (one for one, times in Counter(due).items() if times > asked[one]))
    result.expect("messages nobody asked for", touches.keys() - {*due, *invoices, *thanks})


async def _steps(result: Reckoning, stores: Stores, traffic: Traffic) -> None:
    """The step of every overdue invoice was sent, ended by its payment, or waits for a person as unknown.

    One that was paid before its step was decided has none: it never fell due, being paid on that day.
    """
    statement = "SELECT invoice_id, outcome, rule FROM decision WHERE step = $1 AND outcome <> 'deferred'"
    finals: dict[str, list[tuple[str, str]]] = {}
    for row in await stores.rows("scheduler-svc", statement, STEP):
        finals.setdefault(str(row["invoice_id"]), []).append((row["outcome"], row["rule"]))
    touches = await stores.rows("scheduler-svc", "SELECT status, items FROM touch")
    states = {invoice: row["status"] for row in touches for invoice in traffic.overdue if invoice in row["items"]}
    paid = set(traffic.paid.values())
    wrong = []
    for invoice, number in traffic.overdue.items():
        ends, state = finals.get(invoice, []), states.get(invoice)
        decided = ends in ([("sent", "sent")], [("suppressed", "paid")])
        waits = not ends and state == "unknown"
        never = not ends and state is None and number in paid
        result.steps[ends[0][0] if decided else "unknown" if waits else "never due" if never else "lost"] += 1
        if not (decided or waits or never):
            wrong.append(f"{number} {ends} (touch {state}, {'paid' if number in paid else 'open'})")
    result.expect("steps without their one end", wrong)


async def _mails(result: Reckoning, stores: Stores, peer: SmtpPeer) -> None:
    """What the SMTP server took: once what is sent, at most once what is unknown, nothing else."""
    rows = await stores.rows("notifier-svc", "SELECT id, status FROM delivery WHERE channel = 'email'")
    taken = peer.by_delivery()
    by_message = Counter(one.message_id for one in peer.ledger)
    by_words = Counter((one.recipients, one.subject) for one in peer.ledger)
    for counted in (taken, by_message, by_words):
        result.expect("sent twice", (one for one, times in counted.items() if times > 1))
    for row in rows:
        times = taken.pop(str(row["id"]), 0)
        allowed = {"sent": {1}, "unknown": {0, 1}}.get(row["status"], {0})
        wrong = [] if times in allowed else [f"{row['status']} taken {times} times"]
        result.expect("deliveries that are not what the server took", wrong)
    result.expect("messages of no delivery", taken)


async def _texts(result: Reckoning, stores: Stores, twilio: TwilioServer) -> None:
    """What Twilio took: once what is sent, by its id there; nothing else, as what was unknown was looked up."""
    rows = await stores.rows("notifier-svc", "SELECT status, provider_id FROM delivery WHERE channel = 'sms'")
    sent = Counter(row["provider_id"] for row in rows if row["status"] == "sent")
    taken = Counter(one.sid for one in twilio.messages)
    result.expect("texts sent that Twilio does not have, or twice", sent - taken)
    result.expect("texts Twilio has of no delivery", taken - sent)
    by_words = Counter((one.to, one.body) for one in twilio.messages)
    result.expect("texts sent twice", (one for one, times in by_words.items() if times > 1))
    result.texts.update(row["status"] for row in rows)


def _escalations(result: Reckoning, traffic: Traffic, told: list[Told]) -> None:
    """Each approval took its rung once; each of those cases that was paid since was resolved once."""
    triggered = Counter(one.data["case_id"] for one in told if one.type == "com.remit.escalation.triggered.v1")
    result.expect("rungs taken twice", (one for one, times in triggered.items() if times > 1))
    result.expect("approvals without their rung", [] if len(triggered) == len(traffic.approved) else [len(triggered)])
    resolved = Counter(one.data["case_id"] for one in told if one.type == "com.remit.escalation.resolved.v1")
    result.expect("cases resolved twice", (one for one, times in resolved.items() if times > 1))

"""From a claimed touch and a fresh answer to what happens to each of its deliveries. No I/O but rendering."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from notifier_svc import gate
from notifier_svc.balances import Check
from notifier_svc.claims import Batch, Claim, Job
from notifier_svc.contacts import REQUIRED_NOTICES, Address, address_of
from notifier_svc.gate import Facts, Verdict
from notifier_svc.hours import local_day, may_go_from
from notifier_svc.modes import Never, NotNow, Way, Ways
from notifier_svc.rendering import MessageContext, Rendered
from remit_events.state import Channel, Stage
from remit_service.logs import describe

FIRST_PAUSE = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(seconds=15)
HELD_PAUSE = timedelta(minutes=5)
SELLER_SETTING = "seller-setting"

Render = Callable[..., Rendered]
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Links:
    """Where one unsubscribes: the URL needs a public address, the mailto a reply address."""

    url: str | None = None
    mailto: str | None = None
    token_sha256: str | None = None


@dataclass(slots=True)
class Hand:
    """One delivery about to be handed over, and what the decision rests on."""

    job: Job
    claim: Claim
    way: Way
    verdict: Verdict
    rendered: Rendered
    check: Check
    reminders: Mapping[UUID, int]
    links: Links


@dataclass(slots=True)
class Plan:
    """What becomes of one claimed touch. `cancelled`: the rule by which nothing of it leaves."""

    claim: Claim
    verdict: Verdict | None = None
    hands: list[Hand] = field(default_factory=list)
    held: list[tuple[Job, datetime]] = field(default_factory=list)
    failed: list[tuple[Job, str]] = field(default_factory=list)
    rerouted: list[Address] = field(default_factory=list)
    held_by: str | None = None
    unanswered: bool = False
    cancelled: str | None = None

    @property
    def quiet(self) -> bool:
        """Nobody is to be told of it, and nothing but the touch itself is stored."""
        dropped = self.verdict is not None and self.verdict.dropped
        linked = any(hand.links.token_sha256 for hand in self.hands)
        return not (self.cancelled or self.failed or self.rerouted or dropped or linked)


def facts_of(claim: Claim, check: Check, reminders: Mapping[UUID, int], now: datetime) -> Facts:
    return Facts(
        states=check.states,
        automation_on=check.automation[claim.seller.id],
        today=local_day(claim.customer, now),
        customer=claim.customer,
        reminders=reminders,
        customer_holds=check.holds,
    )


def pause(attempts: int) -> timedelta:
    """Doubling from a second to a quarter of a minute: the question is cheap, and reminders have their hours."""
    return min(FIRST_PAUSE * 2.0 ** min(attempts, 16), LONGEST_PAUSE)


def unanswered(claim: Claim, why: str, now: datetime) -> Plan:
    """No answer, no message: looked at again later, until its time is over."""
    if now >= claim.valid_until:
        return Plan(claim, cancelled=gate.EXPIRED)
    plan = _hold(claim, why, now + pause(claim.attempts))
    plan.unanswered = True
    return plan


def not_storable(plan: Plan) -> Plan:
    """The plan of a touch whose words the database does not take: certainly not sent."""
    return Plan(plan.claim, failed=[(job, "not-storable") for job in plan.claim.jobs])


class Planner:
    """Decides a batch; `per_batch` bounds what one batch hands to a rate-limited provider."""

    def __init__(self, ways: Ways, render: Render, links: Callable[[Claim], Links]) -> None:
        self._ways = ways
        self._render = render
        self._links = links

    def plan(self, batch: Batch, check: Check, reminders: Mapping[UUID, int], now: datetime) -> list[Plan]:
        return [self._plan(claim, check, reminders, now, batch.taken) for claim in batch.claims]

    def _plan(
        self, claim: Claim, check: Check, reminders: Mapping[UUID, int], now: datetime, taken: Counter[str]
    ) -> Plan:
        early = _early(claim, now)
        if early:
            return early
        verdict = gate.decide(claim.stage, claim.body.items, facts_of(claim, check, reminders, now))
        if verdict.rule == gate.AUTOMATION_OFF and not claim.is_follow_up:
            # Nobody decides an invoice or a thank-you again: it waits for the switch, as long as it is of use.
            return _hold(claim, gate.AUTOMATION_OFF, now + HELD_PAUSE)
        if verdict.rule:
            return Plan(claim, verdict, cancelled=verdict.rule)
        plan = Plan(claim, verdict)
        ways = [(job, way) for job in claim.jobs if (way := self._way(plan, job, now, taken))]
        if ways:
            self._rendered(plan, ways, check, reminders, now)
        return plan

    def _way(self, plan: Plan, job: Job, now: datetime, taken: Counter[str]) -> Way | None:
        """The way one delivery takes; None when it takes none, which the plan then says."""
        claim = plan.claim
        if _ended(plan, job):
            return None
        way = self._ways.way(job.channel, job.recipient, claim.seller, claim.live)
        if isinstance(way, Never):
            plan.failed.append((job, way.why))
            return None
        if isinstance(way, Way):
            taken[way.provider.name] += 1
            if taken[way.provider.name] <= way.provider.per_batch:
                return way
            way = NotNow("rate", now + FIRST_PAUSE)
        plan.held.append((job, min(way.until or now + HELD_PAUSE, claim.valid_until)))
        plan.held_by = way.why
        return None

    def _rendered(
        self,
        plan: Plan,
        ways: list[tuple[Job, Way]],
        check: Check,
        reminders: Mapping[UUID, int],
        now: datetime,
    ) -> None:
        assert plan.verdict is not None  # noqa: S101  # set before any way is looked for
        links = self._links(plan.claim)
        message = context_of(plan.claim, plan.verdict, links, now)
        try:
            rendered = self._render(message, channels={job.channel for job, _ in ways})
        except Exception as error:
            # A message that cannot be written must not stop the others of its batch.
            log.error("not renderable", touch=str(plan.claim.id), **describe(error))
            plan.failed += [(job, "not-renderable") for job, _ in ways]
            return
        plan.hands = [Hand(job, plan.claim, way, plan.verdict, rendered, check, reminders, links) for job, way in ways]


def _ended(plan: Plan, job: Job) -> bool:
    """Whether that address may not be used any more, which the plan then says, with the address to use instead."""
    claim = plan.claim
    address = address_of(claim.customer, job.channel)
    if job.closed:
        why = "suppressed" if job.closed == "full" else "unsubscribed"
        by_letter = job.closed == "courtesy" and claim.stage in REQUIRED_NOTICES
        instead = address_of(claim.customer, Channel.LETTER) if by_letter else None
    elif job.channel is Channel.SMS and not claim.customer.sms_consent:
        why, instead = "no-consent", None
    elif address is None or address.sha256 != job.recipient_sha256:
        why, instead = "address-changed", address
    else:
        return False
    plan.failed.append((job, why))
    plan.rerouted += [instead] if instead else []
    return True


def _early(claim: Claim, now: datetime) -> Plan | None:
    """What needs no answer to be decided."""
    if now >= claim.valid_until:
        return Plan(claim, cancelled=gate.EXPIRED)
    wanted = {Stage.INVOICE: claim.seller.send_invoices, Stage.THANKS: claim.seller.thank_you}
    if not wanted.get(claim.stage, True):
        return Plan(claim, cancelled=SELLER_SETTING)
    may_go = may_go_from(claim.customer, now)
    if may_go > now:
        return _hold(claim, "hours", may_go)
    return None


def _hold(claim: Claim, why: str, until: datetime) -> Plan:
    until = min(until, claim.valid_until)
    return Plan(claim, held=[(job, until) for job in claim.jobs], held_by=why)


def context_of(claim: Claim, verdict: Verdict, links: Links, now: datetime) -> MessageContext:
    return MessageContext(
        seller=claim.seller,
        customer=claim.customer,
        stage=claim.stage,
        step=claim.step,
        tone=claim.tone,
        template=claim.body.template,
        items=verdict.kept,
        local_date=local_day(claim.customer, now),
        demand=claim.body.demand,
        payment=claim.body.payment,
        unsubscribe_url=links.url,
        unsubscribe_mailto=links.mailto,
    )

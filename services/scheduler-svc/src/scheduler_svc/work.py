"""A review while it is being made: the ledger so far, and what has been decided about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from remit_events.schedule import Demand, Item, Window
from remit_events.state import Channel, InvoiceState, Stage, Tone
from scheduler_svc.days import Days, days_of
from scheduler_svc.gate import Ruling
from scheduler_svc.ledger import (
    Contact,
    DemandDue,
    FinalOutcome,
    FollowUp,
    Ledger,
    Outcome,
    PolicyRef,
    Progress,
    TouchItem,
)
from scheduler_svc.policy import Policy

Policies = Mapping[PolicyRef, Policy]
NewId = Callable[[], UUID]


class Slot(NamedTuple):
    """What has exactly one final outcome: a step of an invoice, or a formal demand."""

    invoice_id: UUID
    step: str
    demand_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """One row of the decision log; of one that `reopens` another final one may follow."""

    invoice: InvoiceState
    policy: PolicyRef
    step: str
    outcome: Outcome
    rule: str
    inputs: Mapping[str, Any]
    until: datetime | None = None
    demand_id: UUID | None = None
    touch_id: UUID | None = None
    reopens: bool = False


@dataclass(frozen=True, slots=True)
class Touch:
    """A message that goes now, on all its channels; the first item leads. `again`: a failed touch on another channel.

    `inputs` are, per item, what its `sent` row in the decision log will say.
    """

    id: UUID
    again: bool
    stage: Stage
    step: str
    tone: Tone
    template: str
    channels: tuple[Channel, ...]
    items: tuple[TouchItem, ...]
    content: tuple[Item, ...]
    policies: tuple[PolicyRef, ...]
    inputs: tuple[Mapping[str, Any], ...]
    local_date: date
    valid_until: datetime
    window: Window
    demand: Demand | None = None
    demand_id: UUID | None = None


class Work:
    """Collects what a review decides. Follow-ups and demands are replaced, never changed."""

    def __init__(self, ledger: Ledger, policies: Policies, now: datetime, new_id: NewId) -> None:
        self.debtor = ledger.debtor
        self.automation_on = ledger.automation_on
        self.replied_at = ledger.replied_at
        self.policies = policies
        self._rules: dict[PolicyRef, tuple[Policy, Days, date]] = {}
        self.now = now
        self.new_id = new_id
        self.follow_ups: dict[UUID, FollowUp] = {one.id: one for one in ledger.follow_ups}
        self.demands: dict[UUID, DemandDue] = {one.id: one for one in ledger.demands}
        self.contacts: list[Contact] = list(ledger.contacts)
        self.decisions: list[Decision] = []
        self.touches: list[Touch] = []
        self.given_up: list[UUID] = []
        self.released: list[UUID] = []
        self.exhausted: list[FollowUp] = []

    def policy_of(self, follow_up: FollowUp) -> Policy:
        return self._rules_of(follow_up.policy)[0]

    def days_of(self, follow_up: FollowUp) -> Days:
        return self._rules_of(follow_up.policy)[1]

    def today(self, follow_up: FollowUp) -> date:
        """The date at the customer's place as the follow-up's policy looks at it."""
        return self._rules_of(follow_up.policy)[2]

    def _rules_of(self, ref: PolicyRef) -> tuple[Policy, Days, date]:
        found = self._rules.get(ref)
        if found is None:
            policy = self.policies[ref]
            days = days_of(self.debtor, policy)
            found = self._rules[ref] = (policy, days, days.local_date(self.now))
        return found

    def change(self, invoice_id: UUID, **changes: Any) -> FollowUp:
        changed = self.follow_ups[invoice_id] = self.follow_ups[invoice_id]._replace(**changes)
        return changed

    def standing(self, slot: Slot) -> Progress | None:
        if slot.demand_id is not None:
            return self.demands[slot.demand_id].progress
        return self.follow_ups[slot.invoice_id].progress.get(slot.step)

    def put(self, slot: Slot, progress: Progress | None) -> None:
        """Where a step or demand stands now; None: as if it had never been looked at."""
        if slot.demand_id is not None:
            self.demands[slot.demand_id] = replace(self.demands[slot.demand_id], progress=progress or Progress())
            return
        steps = {key: kept for key, kept in self.follow_ups[slot.invoice_id].progress.items() if key != slot.step}
        if progress is not None:
            steps[slot.step] = progress
        self.change(slot.invoice_id, progress=steps)

    def finish(
        self, slot: Slot, outcome: FinalOutcome, rule: str, inputs: Mapping[str, Any], *, reopens: bool = False
    ) -> None:
        """The one final outcome; nothing when there is one."""
        standing = self.standing(slot)
        if standing and standing.is_final:
            return
        self.put(slot, Progress(outcome=outcome, reopens=reopens))
        self._log(slot, outcome, rule, inputs, reopens=reopens)

    def defer(self, slot: Slot, ruling: Ruling, touch_id: UUID | None = None) -> None:
        """Not yet (with `touch_id`: still in flight). Written down when rule or end is another than before."""
        standing = self.standing(slot) or Progress()
        self.put(slot, Progress(touch_id=touch_id, rule=ruling.rule, until=ruling.until))
        if (standing.rule, standing.until) != (ruling.rule, ruling.until):
            self._log(slot, "deferred", ruling.rule, ruling.inputs, ruling.until)

    def give_up(self, touch_id: UUID, *, reached: bool) -> None:
        """A touch that will not go any more; when nobody was reached by it, it is no contact."""
        self.given_up.append(touch_id)
        if not reached:
            self.contacts = [contact for contact in self.contacts if contact.touch_id != touch_id]
            self.released.append(touch_id)

    def _log(
        self,
        slot: Slot,
        outcome: Outcome,
        rule: str,
        inputs: Mapping[str, Any],
        until: datetime | None = None,
        *,
        reopens: bool = False,
    ) -> None:
        one = self.follow_ups[slot.invoice_id]
        fixed = (one.invoice, one.policy, slot.step, outcome, rule, inputs, until, slot.demand_id)
        self.decisions.append(Decision(*fixed, reopens=reopens))

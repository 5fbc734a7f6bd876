"""What is known of one customer when something about them is decided: frozen, and free of any I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from types import MappingProxyType
from typing import Literal, NamedTuple
from uuid import UUID

from remit_events.state import Channel, Hold, InvoiceState, Profile

FinalOutcome = Literal["sent", "merged", "suppressed", "skipped"]
Outcome = Literal["sent", "merged", "suppressed", "skipped", "deferred"]
Escalated = Literal["demand", "stopped"]

NOTHING_OWED = frozenset({"paid", "void"})  # rules by which a step ends only for as long as that is so


class PolicyRef(NamedTuple):
    """One version of a policy of the customer's seller."""

    key: str
    version: int


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a step stands that has been looked at: final (`outcome`), in flight (`touch_id`) or waiting (`rule`).

    A waiting step is decided again at `until`; None: when what holds it changes. `not_before` keeps a step that
    was refused at the moment of sending from being tried again at once. What `reopens` ended only because nothing
    was owed any more: owed again, it is decided anew.
    """

    outcome: FinalOutcome | None = None
    touch_id: UUID | None = None
    rule: str | None = None
    until: datetime | None = None
    not_before: datetime | None = None
    reopens: bool = False

    @property
    def is_final(self) -> bool:
        return self.outcome is not None

    @property
    def in_flight(self) -> bool:
        return self.outcome is None and self.touch_id is not None


@dataclass(frozen=True, slots=True)
class Address:
    """One way to reach the customer: `closed` says why it may not be used (None: it may)."""

    sha256: str | None
    closed: Literal["no-address", "no-consent", "suppressed"] | None = None


@dataclass(frozen=True, slots=True)
class Debtor:
    """The customer. `external_id` is what ties are broken by."""

    id: UUID
    seller_id: UUID
    external_id: str
    name: str
    profile: Profile
    country: str
    timezone: str | None
    hold: Hold | None
    addresses: Mapping[Channel, Address]


class FollowUp(NamedTuple):
    """One invoice being followed; a tuple, for two of them are made per invoice issued, and some per reminder.

    `entered_on` is the local day Remit learned of it; `closed_on` that on which nothing was owed any more (the day
    of payment). `shift_days` moves what is left after a catch-up; `harder_used` counts broken promises that already
    made a step harder; `disputed_before` says that it was disputed in full when it closed. Steps of a policy it was
    moved to on `migrated_on` that lie before that day are passed over.
    """

    invoice: InvoiceState
    policy: PolicyRef
    entered_on: date
    progress: Mapping[str, Progress] = MappingProxyType({})
    shift_days: int = 0
    harder_used: int = 0
    escalated: Escalated | None = None
    reviewed_on: date | None = None
    migrated_on: date | None = None
    closed_on: date | None = None
    disputed_before: bool = False
    exhausted: bool = False
    closed: bool = False
    next_at: datetime | None = None

    @property
    def id(self) -> UUID:
        return self.invoice.id

    def anew(self, now: datetime) -> Progress | None:
        """Where a step stands that is decided again as if its touch had not been.

        After a migration it is kept in mind, for the new policy may not have it: then that is its outcome.
        """
        return Progress(not_before=now) if self.migrated_on else None

    def owed_again(self, now: datetime) -> FollowUp:
        """The payment was taken back: what it had ended is decided again, under the catch-up rule; the rest stands."""
        back = [step for step, progress in self.progress.items() if progress.reopens]
        kept = {step: progress for step, progress in self.progress.items() if step not in back}
        anew = self.anew(now)
        return self._replace(
            progress=kept | {step: anew for step in back if anew},
            closed=False,
            closed_on=None,
            disputed_before=False,
            exhausted=self.exhausted and not back,
        )


@dataclass(frozen=True, slots=True)
class DemandDue:
    """A formal demand that was triggered and waits for the gate, is in flight, or is over.

    `withdrawn`: whoever triggered it took it back, so what has not gone does not go.
    """

    id: UUID
    case_id: UUID
    invoice_id: UUID
    rung: str
    triggered_on: date
    deadline: date | None
    reminders_sent: int
    approved_by: str | None
    withdrawn: bool = False
    progress: Progress = Progress()
    next_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TouchItem:
    """One invoice of a touch: the step it stands for and the easier ones it takes with it.

    `harder`: a broken promise made it this step instead of the one that was due.
    """

    invoice_id: UUID
    step: str
    merged: tuple[str, ...] = ()
    harder: bool = False


@dataclass(frozen=True, slots=True)
class FailedTouch:
    """A touch all of whose channels certainly failed; `reached`: one of them had been accepted before."""

    id: UUID
    on: date
    items: tuple[TouchItem, ...]
    tried: tuple[Channel, ...]
    reached: bool
    demand_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Contact:
    """One contact on a local date; `shared`: it was another customer's, at an address of this one."""

    on: date
    touch_id: UUID | None = None
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Ledger:
    """Everything that decides about one customer. Contacts are those of the last days that rules look at.

    `replied_at` is when the customer wrote something that no person has answered yet.
    """

    debtor: Debtor
    automation_on: bool
    follow_ups: tuple[FollowUp, ...]
    demands: tuple[DemandDue, ...] = ()
    failed: tuple[FailedTouch, ...] = ()
    contacts: tuple[Contact, ...] = ()
    replied_at: datetime | None = None

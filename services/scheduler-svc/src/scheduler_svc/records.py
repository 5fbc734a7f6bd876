"""Rows of the tables as the core's values, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from remit_events.addresses import address_hash, address_of
from remit_events.state import Channel, CustomerState, InvoiceState
from scheduler_svc.channels import addresses
from scheduler_svc.ledger import (
    Address,
    Debtor,
    DemandDue,
    FailedTouch,
    FollowUp,
    PolicyRef,
    Progress,
    TouchItem,
)

FOLLOW_UP_COLUMNS = (
    "invoice_id, seller_id, customer_id, snapshot::text, policy_key, policy_version, entered_on, progress, shift_days, "
    "harder_used, escalated, reviewed_on, migrated_on, closed_on, disputed_before, exhausted, closed, next_at"
)
# What a review may change of a follow-up, beside its progress.
REVIEWED = ("shift_days", "harder_used", "closed_on", "exhausted", "closed", "next_at")
DEMAND_COLUMNS = (
    "id, seller_id, customer_id, case_id, invoice_id, rung, triggered_on, deadline, reminders_sent, approved_by, "
    "withdrawn, progress, next_at"
)


def address_keys(state: CustomerState) -> list[str]:
    """A customer's addresses as they stand in the tables: `channel:sha256`."""
    known = [(channel, address_of(state, channel)) for channel in Channel]
    return [f"{channel}:{address_hash(channel, address)}" for channel, address in known if address]


def debtor(seller_id: UUID, state: CustomerState, keys: Iterable[str], suppressed: Iterable[str]) -> Debtor:
    """`keys`: the customer's addresses, which are stored beside the state so that nobody need hash them again."""
    return Debtor(
        id=state.id,
        seller_id=seller_id,
        external_id=state.external_id,
        name=state.name,
        profile=state.profile,
        country=state.country,
        timezone=state.timezone,
        hold=state.hold,
        addresses=addresses(keys, suppressed, sms_consent=state.sms_consent),
    )


def contact_keys(reached: Mapping[Channel, Address], channels: Iterable[Channel]) -> list[str]:
    """The addresses a touch goes to that a person reads: many a company shares its house with others."""
    read_by_one = (channel for channel in channels if channel is not Channel.LETTER)
    return [f"{channel}:{reached[channel].sha256}" for channel in read_by_one if reached[channel].sha256]


_NONE_YET: Mapping[str, Any] = {}  # one and the same for all, so that a batch of new ones sends it once


def follow_up(row: Sequence[Any]) -> FollowUp:
    """A row of FOLLOW_UP_COLUMNS, of which those from the policy on are in the order of a FollowUp's."""
    _, _, _, snapshot, key, version, entered_on, steps, *standing = row
    moved = {step: progress(value) for step, value in steps.items()} if steps else _NONE_YET
    return FollowUp(InvoiceState.model_validate_json(snapshot), PolicyRef(key, version), entered_on, moved, *standing)


def follow_up_values(one: FollowUp, now: datetime) -> dict[str, Any]:
    """Every column of a follow-up but whose it is."""
    return {
        "invoice_id": one.id,
        "number": one.invoice.number,
        "snapshot": one.invoice,
        "version": one.invoice.version,
        "policy_key": one.policy.key,
        "policy_version": one.policy.version,
        "entered_on": one.entered_on,
        "progress": {step: progress_values(value) for step, value in one.progress.items()} or _NONE_YET,
        "shift_days": one.shift_days,
        "harder_used": one.harder_used,
        "escalated": one.escalated,
        "reviewed_on": one.reviewed_on,
        "migrated_on": one.migrated_on,
        "closed_on": one.closed_on,
        "disputed_before": one.disputed_before,
        "exhausted": one.exhausted,
        "closed": one.closed,
        "next_at": one.next_at,
        "updated_at": now,
    }


def reviewed_values(one: FollowUp, now: datetime) -> dict[str, Any]:
    """The columns of a follow-up that a review may change; the rest, its snapshot above all, stays as it is stored."""
    return {
        "invoice_id": one.id,
        "progress": {step: progress_values(value) for step, value in one.progress.items()},
        **{name: getattr(one, name) for name in REVIEWED},
        "updated_at": now,
    }


def progress(value: Mapping[str, Any]) -> Progress:
    return Progress(
        outcome=value.get("outcome"),
        touch_id=UUID(value["touch"]) if "touch" in value else None,
        rule=value.get("rule"),
        until=_moment(value.get("until")),
        not_before=_moment(value.get("not_before")),
        reopens=value.get("reopens", False),
    )


def progress_values(one: Progress) -> dict[str, Any]:
    found = {
        "outcome": one.outcome,
        "touch": one.touch_id,
        "rule": one.rule,
        "until": one.until,
        "not_before": one.not_before,
        "reopens": one.reopens or None,
    }
    return {name: value for name, value in found.items() if value is not None}


def demand(row: Any) -> DemandDue:
    return DemandDue(
        id=row.id,
        case_id=row.case_id,
        invoice_id=row.invoice_id,
        rung=row.rung,
        triggered_on=row.triggered_on,
        deadline=row.deadline,
        reminders_sent=row.reminders_sent,
        approved_by=row.approved_by,
        withdrawn=row.withdrawn,
        progress=progress(row.progress),
        next_at=row.next_at,
    )


def failed_touch(row: Any) -> FailedTouch:
    return FailedTouch(
        id=row.id,
        on=row.local_date,
        items=tuple(touch_item(value) for value in row.listed),
        tried=tuple(Channel(channel) for channel in row.channels),
        reached=row.reached,
        demand_id=row.demand_id,
    )


def touch_item(value: Mapping[str, Any]) -> TouchItem:
    return TouchItem(UUID(value["invoice_id"]), value["step"], tuple(value["merged"]), value["harder"])


def touch_item_values(one: TouchItem, inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "invoice_id": one.invoice_id,
        "step": one.step,
        "merged": one.merged,
        "harder": one.harder,
        "inputs": inputs,
    }


def _moment(value: str | None) -> datetime | None:
    return datetime.fromisoformat(value) if value else None

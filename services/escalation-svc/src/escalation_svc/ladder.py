"""A ladder: rungs in order, each with its conditions, its action and whether a person must approve. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import get_args

from remit_events.escalations import Action
from remit_events.state import Profile
from remit_service.flaws import Flaw, Path

ACTIONS: tuple[str, ...] = get_args(Action)
PROFILES: tuple[str, ...] = get_args(Profile)
MINIMUM_REMINDERS_BEFORE_DEMAND = 3
# What takes something from the debtor or hands the debt on: never without a formal demand before it.
HARD_ACTIONS = frozenset({"service_suspension", "agency", "legal"})
# After these the debt is in other hands; Remit's own reminders end.
ENDS_CHASING = frozenset({"agency", "legal"})


@dataclass(frozen=True, slots=True)
class Conditions:
    """When a rung may be taken; all must hold. Days are local calendar days at the customer's place.

    `days_since_contact` counts from the last message that named this invoice, `days_since_demand` from the day the
    formal demand was sent. `minimum_balance` is the undisputed balance in minor units per currency; a currency
    that is not listed has no minimum.
    """

    days_overdue: int
    reminders: int = 0
    days_since_contact: int = 0
    days_since_demand: int | None = None
    minimum_balance: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Override:
    """What differs for one customer profile; None: as for everyone."""

    days_overdue: int | None = None
    reminders: int | None = None
    days_since_contact: int | None = None
    days_since_demand: int | None = None
    minimum_balance: Mapping[str, int] | None = None
    approval: bool | None = None


@dataclass(frozen=True, slots=True)
class Rung:
    """One step of a ladder. `deadline_days`: what a formal demand gives the debtor; `note` says what a person is to
    do and `due_days` within how many days."""

    key: str
    action: str
    when: Conditions
    approval: bool = False
    deadline_days: int | None = None
    note: str | None = None
    due_days: int = 3
    profiles: Mapping[str, Override] = field(default_factory=dict)

    @property
    def stops_chasing(self) -> bool:
        return self.action in ENDS_CHASING

    def conditions(self, profile: str) -> Conditions:
        """What must hold for a customer of `profile`."""
        override = self.profiles.get(profile)
        if override is None:
            return self.when
        changed = {f.name: value for f in fields(Conditions) if (value := getattr(override, f.name)) is not None}
        return replace(self.when, **changed)

    def needs_approval(self, profile: str) -> bool:
        override = self.profiles.get(profile)
        return self.approval if override is None or override.approval is None else override.approval


@dataclass(frozen=True, slots=True)
class Ladder:
    """An immutable version of a ladder; version 0 has not been saved."""

    key: str
    rungs: tuple[Rung, ...]
    version: int = 0

    def rung(self, key: str) -> Rung | None:
        return next((rung for rung in self.rungs if rung.key == key), None)


def flaws(ladder: Ladder) -> list[Flaw]:
    """Everything that makes a ladder unable to work; empty when it may be saved."""
    if not ladder.rungs:
        return [Flaw(("rungs",), "empty", "a ladder needs at least one rung", [])]
    found = [*_duplicates(ladder), *_order(ladder)]
    demand_at: int | None = None
    for index, rung in enumerate(ladder.rungs):
        found += _rung_flaws(index, rung, demand_at)
        if rung.action == "formal_demand" and demand_at is None:
            demand_at = index
    return found


def _duplicates(ladder: Ladder) -> Iterator[Flaw]:
    seen: dict[str, int] = {}
    for index, rung in enumerate(ladder.rungs):
        if rung.key in seen:
            detail = f"rung {seen[rung.key] + 1} has this key already; give each rung its own"
            yield Flaw(("rungs", index, "key"), "duplicate", detail, rung.key)
        seen.setdefault(rung.key, index)


def _order(ladder: Ladder) -> Iterator[Flaw]:
    """Later rungs need at least the days of earlier ones; for a profile only where it is overridden there."""
    for index in range(1, len(ladder.rungs)):
        before, rung = ladder.rungs[index - 1], ladder.rungs[index]
        if rung.when.days_overdue < before.when.days_overdue:
            yield _unsorted(("rungs", index, "days_overdue"), rung.when.days_overdue, before.when.days_overdue)
        for profile, override in rung.profiles.items():
            least = before.conditions(profile).days_overdue
            if override.days_overdue is not None and override.days_overdue < least:
                path: Path = ("rungs", index, "profiles", profile, "days_overdue")
                yield _unsorted(path, override.days_overdue, least)


def _unsorted(path: Path, value: int, least: int) -> Flaw:
    return Flaw(path, "unsorted", f"the rung before needs {least} days overdue; this one must need as many", value)


def _rung_flaws(index: int, rung: Rung, demand_at: int | None) -> Iterator[Flaw]:
    at: Path = ("rungs", index)
    if rung.action not in ACTIONS:
        yield Flaw((*at, "action"), "unknown-action", f"one of {', '.join(ACTIONS)}", rung.action)
        return
    for profile in rung.profiles:
        if profile not in PROFILES:
            yield Flaw((*at, "profiles", profile), "unknown-profile", f"one of {', '.join(PROFILES)}", profile)
    if rung.action == "formal_demand":
        yield from _demand_flaws(at, rung, demand_at)
    elif rung.deadline_days is not None:
        yield Flaw((*at, "deadline_days"), "no-demand", "only a formal_demand sets a deadline", rung.deadline_days)
    if rung.action in HARD_ACTIONS and demand_at is None:
        detail = (
            "needs a formal_demand rung before it: nothing is suspended or handed on without three reminders and it"
        )
        yield Flaw((*at, "action"), "demand-bypassed", detail, rung.action)
    if demand_at is None:
        for path, value in _values(rung, "days_since_demand"):
            yield Flaw((*at, *path), "no-demand", "no formal_demand rung stands before this one", value)


def _demand_flaws(at: Path, rung: Rung, demand_at: int | None) -> Iterator[Flaw]:
    if demand_at is not None:
        yield Flaw((*at, "action"), "second-demand", f"rung {demand_at + 1} is the formal demand already", rung.action)
    for path, value in _values(rung, "reminders"):
        if value < MINIMUM_REMINDERS_BEFORE_DEMAND:
            detail = f"a formal demand needs at least {MINIMUM_REMINDERS_BEFORE_DEMAND} reminders, whatever the profile"
            yield Flaw((*at, *path), "too-few-reminders", detail, value)
    if rung.deadline_days is None:
        yield Flaw((*at, "deadline_days"), "required", "a formal demand says by when to pay: give days, at least 1")


def _values(rung: Rung, name: str) -> Iterator[tuple[Path, int]]:
    """A condition wherever the rung states it: for everyone, then per profile."""
    if (value := getattr(rung.when, name)) is not None:
        yield (name,), value
    for profile, override in rung.profiles.items():
        if (value := getattr(override, name)) is not None:
            yield ("profiles", profile, name), value

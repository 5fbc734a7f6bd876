"""A follow-up policy: what a file or a request may say, and what cannot work.

The shape is that of the YAML files; offsets are days from the due date (negative: before it), times are local to the
customer, balances are minor units per ISO 4217 currency.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import time
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_serializer, field_validator
from pydantic_core import PydanticCustomError

from remit_events.schedule import Window
from remit_events.state import Channel, Tone
from remit_service.flaws import Flaw
from remit_service.money import exponent
from remit_service.validation import KeyOf

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
CatchUp = Literal["collapse", "skip", "shift"]
Entry = Literal["first", "by-age"]

if TYPE_CHECKING:
    Key = str
else:
    Key = KeyOf(40)

LONGEST_OFFSET = 730
LONGEST_RULE_DAYS = 92
_TIME = re.compile(r"^([01]\d|2[0-3]):[0-5]\d$")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Step(_Part):
    """One reminder: when, how hard, by which channels; `template` is its key unless another is named."""

    key: Key
    offset: Annotated[int, Field(ge=-LONGEST_OFFSET, le=LONGEST_OFFSET, strict=True)]
    tone: Tone
    channels: Annotated[tuple[Channel, ...], Field(min_length=1, max_length=3)]
    template: Key | None = None

    @property
    def template_key(self) -> str:
        return self.template or self.key


class WindowSpec(_Part):
    """When follow-up may go: on these days, from `from` until before `to`, in the customer's zone."""

    days: Literal["business"] | Annotated[tuple[Weekday, ...], Field(min_length=1, max_length=7)] = "business"
    opens: Annotated[time, Field(alias="from")]
    until: Annotated[time, Field(alias="to")]
    skip_holidays: bool = True

    @field_validator("days", mode="before")
    @classmethod
    def _business_or_weekdays(cls, given: object) -> object:
        weekdays = get_args(Weekday)
        listed = isinstance(given, list | tuple) and given and all(day in weekdays for day in given)
        if given != "business" and not listed:
            names = ", ".join(weekdays)
            raise PydanticCustomError(
                "days", "Write `business`, or a list of at least one of {names}.", {"names": names}
            )
        return given

    @field_validator("opens", "until", mode="before")
    @classmethod
    def _hour_and_minute(cls, given: object) -> object:
        if isinstance(given, time):
            return given
        if not isinstance(given, str) or not _TIME.match(given):
            raise PydanticCustomError("local_time", 'Write a local time as "HH:MM", from "00:00" to "23:59".')
        return time.fromisoformat(given)

    @field_serializer("opens", "until", when_used="json")
    def _as_written(self, at: time) -> str:
        return f"{at:%H:%M}"

    def as_event(self) -> Window:
        return Window(days=self.days, opens=self.opens, until=self.until, skip_holidays=self.skip_holidays)


class ContactCap(_Part):
    """Never more than `contacts` in any `days` consecutive local dates."""

    contacts: Annotated[int, Field(ge=1, le=100, strict=True)]
    days: Annotated[int, Field(ge=1, le=LONGEST_RULE_DAYS, strict=True)]


EXAMPLE: dict[str, Any] = {
    "key": "business",
    "steps": [
        {"key": "courtesy", "offset": -7, "tone": "friendly", "channels": ["email"]},
        {"key": "day-after", "offset": 1, "tone": "neutral", "channels": ["email"]},
        {"key": "final-notice", "offset": 30, "tone": "final", "channels": ["email", "letter"]},
    ],
    "window": {"days": "business", "from": "09:00", "to": "17:00", "skip_holidays": True},
    "consolidate": True,
    "minimum_gap_days": 1,
    "contact_cap": {"contacts": 3, "days": 7},
    "minimum_balance": {"EUR": 500},
    "catch_up": "collapse",
    "entry": "first",
}


class Policy(_Part):
    """An ordered list of steps and the rules around them."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, json_schema_extra={"examples": [EXAMPLE]}
    )

    key: Key
    steps: Annotated[tuple[Step, ...], Field(max_length=60)]
    window: WindowSpec
    consolidate: bool = True
    minimum_gap_days: Annotated[int, Field(ge=0, le=LONGEST_RULE_DAYS, strict=True)] = 1
    contact_cap: ContactCap | None = ContactCap(contacts=3, days=7)
    minimum_balance: dict[str, Annotated[int, Field(ge=0, strict=True)]] = {}
    catch_up: CatchUp = "collapse"
    entry: Entry = "first"

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.key, self.steps, self.window))

    def flaws(self) -> list[Flaw]:
        """Everything that cannot work; empty when the policy can be used."""
        return [*_step_flaws(self.steps), *_window_flaws(self.window), *_rule_flaws(self)]

    def as_body(self) -> dict[str, Any]:
        """The shape of the file, as JSON."""
        return self.model_dump(mode="json", by_alias=True)


def _step_flaws(steps: tuple[Step, ...]) -> Iterator[Flaw]:
    if not steps:
        yield Flaw(("steps",), "empty", "a policy needs at least one step", [])
    seen: dict[str, int] = {}
    for n, step in enumerate(steps):
        if step.key in seen:
            detail = f"step {step.key!r} stands twice; each key names one step"
            yield Flaw(("steps", n, "key"), "duplicate", detail, step.key)
        seen[step.key] = n
        if n and step.offset <= steps[n - 1].offset:
            detail = f"offset {step.offset} must be greater than {steps[n - 1].offset}, that of the step before it"
            yield Flaw(("steps", n, "offset"), "unsorted", detail, step.offset)
        if len(set(step.channels)) < len(step.channels):
            detail = "each channel is named once"
            yield Flaw(("steps", n, "channels"), "duplicate", detail, [str(c) for c in step.channels])


def _window_flaws(window: WindowSpec) -> Iterator[Flaw]:
    if window.opens >= window.until:
        detail = f"the window is empty: `to` must be later than `from` ({window.opens:%H:%M}) on the same day"
        yield Flaw(("window", "to"), "empty-window", detail, f"{window.until:%H:%M}")
    if window.days != "business" and len(set(window.days)) < len(window.days):
        yield Flaw(("window", "days"), "duplicate", "each weekday is named once", list(window.days))


def _rule_flaws(policy: Policy) -> Iterator[Flaw]:
    for currency in policy.minimum_balance:
        try:
            exponent(currency)
        except (KeyError, ValueError):
            detail = f"{currency!r} is no ISO 4217 currency code, such as EUR"
            yield Flaw(("minimum_balance", currency), "unknown-currency", detail, currency)

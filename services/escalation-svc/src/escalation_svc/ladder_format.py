"""The shape of a ladder as people write it: one model for the HTTP body and for the YAML file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints, ValidationError

from escalation_svc.ladder import Conditions, Ladder, Override, Rung, flaws
from remit_service.bodies import Body
from remit_service.flaws import Flaw, FlawsError, of_validation
from remit_service.validation import Currency, Key, Text

Days = Annotated[int, Field(ge=0, le=3650, strict=True)]
Count = Annotated[int, Field(ge=0, le=100, strict=True)]
Balance = dict[Currency, Annotated[int, Field(ge=0, strict=True)]]

if TYPE_CHECKING:
    Note = str
else:
    Note = Text(500)

EXAMPLE: dict[str, Any] = {
    "rungs": [
        {"key": "account-manager", "action": "task", "days_overdue": 14, "reminders": 2, "note": "Call the customer."},
        {
            "key": "formal-demand",
            "action": "formal_demand",
            "days_overdue": 30,
            "reminders": 3,
            "days_since_contact": 5,
            "approval": True,
            "deadline_days": 10,
            "profiles": {"government": {"days_overdue": 50}},
        },
        {"key": "legal", "action": "legal", "days_overdue": 90, "days_since_demand": 14, "approval": True},
    ]
}


class OverrideBody(Body):
    """What differs for one profile; what is left out is as for everyone."""

    days_overdue: Days | None = None
    reminders: Count | None = None
    days_since_contact: Days | None = None
    days_since_demand: Days | None = None
    minimum_balance: Balance | None = None
    approval: bool | None = None


class RungBody(Body):
    """One rung: conditions, action, and whether a person must approve."""

    key: Key
    action: Annotated[str, StringConstraints(max_length=40)]
    days_overdue: Days
    reminders: Count = 0
    days_since_contact: Days = 0
    days_since_demand: Days | None = None
    minimum_balance: Balance = Field(default_factory=dict)
    approval: bool = False
    deadline_days: Annotated[int, Field(ge=1, le=365, strict=True)] | None = None
    note: Note | None = None
    due_days: Annotated[int, Field(ge=0, le=365, strict=True)] = 3
    profiles: dict[str, OverrideBody] = Field(default_factory=dict)

    def rung(self) -> Rung:
        when = Conditions(
            self.days_overdue, self.reminders, self.days_since_contact, self.days_since_demand, self.minimum_balance
        )
        profiles = {name: Override(**dict(override)) for name, override in self.profiles.items()}
        return Rung(self.key, self.action, when, self.approval, self.deadline_days, self.note, self.due_days, profiles)


class LadderBody(Body):
    """A ladder's rungs in order. `key` may be left out where the address or the file's user names it."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    key: Key | None = None
    rungs: list[RungBody] = Field(max_length=30)

    def ladder(self, key: str | None = None, version: int = 0) -> Ladder:
        return Ladder(key or self.key or "ladder", tuple(body.rung() for body in self.rungs), version)

    def json_body(self) -> dict[str, Any]:
        """As stored: without what was left out."""
        return self.model_dump(mode="json", exclude_defaults=True, exclude={"key"})


def parse(tree: Any, key: str | None = None) -> LadderBody:
    """A ladder from a parsed file or body. Raises FlawsError with every flaw found."""
    if not isinstance(tree, dict):
        raise FlawsError([Flaw((), "not-a-ladder", "give a mapping with `key` and `rungs`", None)])
    if "steps" in tree and "rungs" not in tree:
        detail = "this is a policy (it has `steps`): give it with --policy, or to `remit policy save`"
        raise FlawsError([Flaw((), "not-a-ladder", detail)])
    try:
        body = LadderBody.model_validate(tree)
    except ValidationError as error:
        raise FlawsError(of_validation(error)) from None
    check(body, key)
    return body


def check(body: LadderBody, key: str | None = None) -> None:
    """Raises FlawsError when the ladder could not work, or names another key than the one it is saved under."""
    found = flaws(body.ladder(key))
    if key and body.key and body.key != key:
        found.insert(
            0, Flaw(("key",), "other-key", f"this is saved as {key!r}; leave the key out or make them equal", body.key)
        )
    if found:
        raise FlawsError(found)

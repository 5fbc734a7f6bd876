"""Why a policy, a ladder or the like cannot work: every flaw with its place, whether it came in a body or in a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from remit_service.problems import FieldError, Problem, invalid_fields, json_pointer
from remit_service.ways_out import given, way_out

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Flaw:
    """Where in the tree (keys and indexes from its root), a stable code, and the way out in `detail`."""

    path: Path
    code: str
    detail: str
    value: Any = None

    @property
    def pointer(self) -> str:
        return json_pointer(self.path)


class FlawsError(ValueError):
    """A tree that cannot be used; `flaws` says where and why."""

    def __init__(self, found: Sequence[Flaw]) -> None:
        super().__init__("; ".join(f"{flaw.pointer or '/'}: {flaw.detail}" for flaw in found))
        self.flaws = found


def of_validation(error: ValidationError) -> list[Flaw]:
    found = error.errors(include_url=False)
    around = {tuple(one["loc"][:length]) for one in found for length in range(len(one["loc"]))}
    # A list lacks what was refused in it: that is no flaw of its own.
    found = [one for one in found if one["type"] != "too_short" or tuple(one["loc"]) not in around]
    return [Flaw(tuple(one["loc"]), one["type"], way_out(one), given(one)) for one in found]


def refusal(found: Sequence[Flaw]) -> Problem:
    """The 422 that names each."""
    return invalid_fields([FieldError(flaw.pointer, flaw.code, flaw.detail, flaw.value) for flaw in found])

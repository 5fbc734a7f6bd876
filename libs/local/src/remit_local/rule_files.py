"""A policy or a ladder in a file: read with the line of each flaw, and saved where Remit runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from remit_local.client import ApiError, Remit
from remit_local.errors import RefusedError

T = TypeVar("T")


def read_policy(path: Path) -> Any:
    """The policy in a file. Raises RefusedError, a line for each flaw."""
    from scheduler_svc.policy_file import parse

    return _read(path, "policy", parse)


def read_ladder(path: Path) -> Any:
    """The ladder in a file. Raises RefusedError, a line for each flaw."""
    from escalation_svc.ladder_format import parse

    return _read(path, "ladder", parse)


def save_policy(remit: Remit, path: Path, profiles: Sequence[str], *, everyone: bool) -> dict[str, Any]:
    """The version of the policy it is saved as. Raises RefusedError, a line for each flaw."""
    from scheduler_svc.policy_file import parse

    def save(tree: Any) -> dict[str, Any]:
        policy = parse(tree)
        return _saved(remit, "scheduler-svc", f"/v1/policies/{policy.key}", policy.as_body(), profiles, everyone)

    return _read(path, "policy", save)


def save_ladder(remit: Remit, path: Path, profiles: Sequence[str], *, everyone: bool) -> dict[str, Any]:
    """The version of the ladder it is saved as. Raises RefusedError, a line for each flaw."""
    from escalation_svc.ladder_format import parse
    from remit_service.flaws import Flaw, FlawsError

    def save(tree: Any) -> dict[str, Any]:
        ladder = parse(tree)
        if ladder.key is None:
            raise FlawsError([Flaw((), "no-key", "name it: add a `key`, which it is saved under")])
        return _saved(remit, "escalation-svc", f"/v1/ladders/{ladder.key}", ladder.json_body(), profiles, everyone)

    return _read(path, "ladder", save)


def _saved(
    remit: Remit, service: str, path: str, body: dict[str, Any], profiles: Sequence[str], everyone: bool
) -> dict[str, Any]:
    """What the service made of it; raises FlawsError where it names fields, as they stand on lines of the file."""
    from remit_service.flaws import Flaw, FlawsError

    try:
        saved: dict[str, Any] = remit.post(
            service, f"{path}/versions", body, assign=list(profiles), assign_all=everyone or None
        )
    except ApiError as error:
        found = error.problem.get("errors")
        if not found:
            raise
        flaws = [Flaw(_path(one["pointer"]), one["code"], one["detail"], one.get("value")) for one in found]
        raise FlawsError(flaws) from None
    return saved


def _path(pointer: str) -> tuple[str | int, ...]:
    """`/steps/2/offset` as ("steps", 2, "offset")."""
    parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    return tuple(int(part) if part.isdecimal() else part for part in parts)


def _read(path: Path, what: str, parse: Callable[[Any], T]) -> T:
    from remit_service import yaml_lines

    try:
        return yaml_lines.read(_text(path), what, parse)
    except yaml_lines.FileError as error:
        raise RefusedError("\n".join(f"{path}: {line}" for line in str(error).splitlines())) from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise RefusedError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None

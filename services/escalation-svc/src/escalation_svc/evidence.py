"""What a rung rests on, written down when it is asked for and when it is taken, with a digest."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Any

from escalation_svc.ladder import Ladder, Rung
from escalation_svc.records import Case


def evidence(case: Case, ladder: Ladder, rung: Rung, profile: str) -> dict[str, Any]:
    """The facts of a case as JSON: invoice, every message that named it, rungs taken, and the rung's conditions.

    Nothing in it changes with the passing of days alone, so that its digest is the same until a fact changes.
    """
    invoice = case.invoice
    return {
        "invoice": {
            "number": invoice.number,
            "status": invoice.status,
            "issue_date": invoice.issue_date.isoformat(),
            "due_date": invoice.due_date.isoformat() if invoice.due_date else None,
            "currency": invoice.currency,
            "total_minor": invoice.total_minor,
            "balance_minor": invoice.balance_minor,
            "disputed_minor": invoice.disputed_minor,
            "promises_broken": invoice.promises_broken,
            "version": invoice.version,
        },
        "messages": [
            {
                "touch_id": str(row.touch_id),
                "at": row.at.isoformat(),
                "stage": row.stage.value,
                "step": row.step,
                "channel": row.channel,
                "status": row.status,
                "provider_id": row.provider_id,
                "rendered_sha256": row.digest,
            }
            for row in sorted(case.contacts.values(), key=lambda row: (row.at, str(row.delivery_id)))
            if row.channel is not None
        ],
        "rungs": [
            {"key": row.key, "on": row.triggered_on.isoformat(), "approved_by": row.approved_by}
            for row in case.standing()
        ],
        "ladder": {"key": ladder.key, "version": ladder.version, "rung": rung.key, "profile": profile}
        | {"conditions": asdict(rung.conditions(profile))},
    }


def digest(given: dict[str, Any]) -> str:
    """SHA-256 (hex) of the canonical JSON: sorted keys, no spaces, UTF-8."""
    canonical = json.dumps(given, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()

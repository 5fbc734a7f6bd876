"""Texts that people give with a decision."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remit_service.validation import Text

if TYPE_CHECKING:
    Name = str
    Reason = str
    Digest = str
else:
    Name, Reason, Digest = Text(100), Text(500), Text(64)

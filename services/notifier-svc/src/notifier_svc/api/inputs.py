"""Texts that people give."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remit_service.validation import Text

if TYPE_CHECKING:
    Name = str
    Remark = str
    Address = str
    Word = str
else:
    Name, Remark, Address, Word = Text(100), Text(1000, lines=True), Text(500, lines=True), Text(100)

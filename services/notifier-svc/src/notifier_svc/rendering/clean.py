"""Text from outside made safe to place: one line, no control characters, a sane length.

Escaping belongs to each output (HTML autoescape, JSON into typst); here only what no output may carry goes.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

# Controls (C0, C1), line and paragraph separators, bidi overrides and isolates (they would reorder what follows),
# BOM, interlinear and tag characters, lone surrogates (not encodable). Joiners stay: emoji and Persian need them.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u200b\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
_SPACES = re.compile(" {2,}")
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_LINK = re.compile(r"https?://[^\s<>\"'`\\{}|^]+", re.IGNORECASE)

ADDRESS_LINES = 6


@lru_cache(maxsize=1024)  # a seller's name, account and address recur in every message
def line(value: str | None, limit: int = 120) -> str:
    """`value` as one line of at most `limit` characters; "" for None."""
    if not value:
        return ""
    if not value.isascii() or not value.isprintable():
        value = _UNSAFE.sub(" ", value)
    return clip(_SPACES.sub(" ", value).strip(), limit)


def lines(value: str | None, limit: int = 80) -> tuple[str, ...]:
    """An address: its non-empty lines, at most six."""
    if not value:
        return ()
    cleaned = (line(part, limit) for part in re.split(r"\r\n|[\r\n\u2028\u2029]", value))
    return tuple(part for part in cleaned if part)[:ADDRESS_LINES]


def clip(value: str, limit: int) -> str:
    """At most `limit` characters, an ellipsis standing for the rest; never ends inside a joined character."""
    if len(value) <= limit:
        return value
    kept = value[: limit - 1]
    while kept and (unicodedata.combining(kept[-1]) or kept[-1] in "\u200d\ufe0f "):
        kept = kept[:-1]
    return kept + "…"


def fenced(value: str) -> str:
    """A right-to-left name closed by a left-to-right mark, so that a sum after it keeps its order of digits."""
    return f"{value}\u200e" if not value.isascii() and _RIGHT_TO_LEFT.search(value) else value


def plain(value: str) -> str:
    """No-break spaces as plain ones: for subjects, plain text and SMS."""
    return value.replace("\u00a0", " ").replace("\u202f", " ")


def link(value: str | None) -> str | None:
    """An http(s) address that can stand in an href, or None."""
    candidate = (value or "").strip()
    return candidate if len(candidate) <= 2000 and _LINK.fullmatch(candidate) else None

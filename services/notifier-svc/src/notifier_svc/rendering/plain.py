"""The plain-text part: the same message for readers without HTML, wrapped, with aligned labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from notifier_svc.rendering.body import Body, Entry, Row
from notifier_svc.rendering.clean import plain
from notifier_svc.rendering.language import Language
from notifier_svc.rendering.wordings import Prose

WIDTH = 76


def write(prose: Prose, body: Body, words: Language) -> str:
    """The whole text, lines ended by LF."""
    parts: list[str] = [body.greeting, *map(_wrapped, prose.opening)]
    if body.entries:
        parts.append(_list(body.entries, body.totals, words))
    if body.facts:
        parts.append(_table(body.facts, words))
    if body.note:
        parts.append(_wrapped(body.note))
    if body.pay or body.pay_missing:
        parts.append(_how_to_pay(body, words))
    parts += [*map(_wrapped, prose.closing), _wrapped(f"{words.say('questions')} {body.contact}.")]
    parts.append("\n".join(body.signature))
    footer = [_wrapped(body.reason), _wrapped(body.imprint)]
    if body.unsubscribe:
        footer.append(words.say("unsubscribe_at", address=body.unsubscribe))
    return plain("\n\n".join(parts) + "\n\n--\n" + "\n".join(footer) + "\n")


def _how_to_pay(body: Body, words: Language) -> str:
    lines = [words.say("how_to_pay")]
    rows = list(body.pay)
    if body.pay_link:
        rows.append(Row(words.say("pay_online"), body.pay_link))
    lines.append(_table(rows, words) if rows else _wrapped(body.pay_missing))
    return "\n".join(lines)


def _table(rows: Sequence[Row], words: Language) -> str:
    colon = words.say("colon").rstrip(" ")
    width = max(len(row.label) for row in rows) + len(colon) + 2
    return "\n".join(f"  {row.label + colon:<{width}}{row.value}" for row in rows)


def _list(entries: Sequence[Entry], totals: Sequence[Row], words: Language) -> str:
    heads = [f"  {words.say('invoice')} {entry.number}" for entry in entries]
    ends = [f"  {row.label}" for row in totals]
    column = min(max(map(len, heads + ends)) + 4, WIDTH - 16)
    amounts = max(len(value) for value in _values(entries, totals))
    lines = []
    for head, entry in zip(heads, entries, strict=True):
        lines.append(f"{head:<{column}}{entry.amount:>{amounts}}")
        lines.append(_wrapped(", ".join(entry.details), indent="    "))
    if totals:
        lines.append("  " + "-" * (column + amounts - 2))
    lines += [f"{end:<{column}}{row.value:>{amounts}}" for end, row in zip(ends, totals, strict=True)]
    return "\n".join(lines)


def _values(entries: Sequence[Entry], totals: Sequence[Row]) -> Iterable[str]:
    yield from (entry.amount for entry in entries)
    yield from (row.value for row in totals)


def _wrapped(text: str, indent: str = "") -> str:
    """Greedy wrapping at plain spaces only: what no-break spaces hold together stays together."""
    width = WIDTH - len(indent)
    if len(text) <= width:
        return indent + text
    lines = []
    while len(text) >= width:
        end = text.rfind(" ", 0, width)
        if end < 0 and (end := text.find(" ")) < 0:  # a word longer than a line stands on one of its own
            break
        lines.append(indent + text[:end])
        text = text[end + 1 :]
    return "\n".join([*lines, indent + text])

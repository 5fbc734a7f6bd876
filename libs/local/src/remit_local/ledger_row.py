"""One row of a ledger: its cells parsed and checked against each other and against the rows before it."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from remit_local.cells import CellError, parse_amount, parse_date, parse_flag
from remit_local.ledger import LedgerRow, RowProblem
from remit_service.validation import Country, Currency, Email, LanguageTag, Phone, Text, TimeZone

PROFILES = ("business", "individual", "government")
TYPES: dict[str, TypeAdapter[Any]] = {
    "country": TypeAdapter(Country),
    "currency": TypeAdapter(Currency),
    "email": TypeAdapter(Email),
    "phone": TypeAdapter(Phone),
    "timezone": TypeAdapter(TimeZone),
    "language": TypeAdapter(LanguageTag),
    "customer_id": TypeAdapter(Text(100)),
    "customer_name": TypeAdapter(Text(200)),
    "invoice_number": TypeAdapter(Text(100)),
    "address": TypeAdapter(Text(1000, lines=True)),
}
T = TypeVar("T")


class RowReader:
    """Reads rows in file order; remembers invoice numbers so that a second one is refused."""

    def __init__(self, date_pattern: str | None, decimal_comma: bool) -> None:
        self._pattern = date_pattern
        self._decimal_comma = decimal_comma
        self._numbers: dict[str, int] = {}

    def read(self, line: int, cells: dict[str, str]) -> tuple[LedgerRow | None, list[RowProblem]]:
        """The row, or None and everything that is wrong with it."""
        problems: list[RowProblem] = []

        def take(name: str, parse: Callable[[str], T], required: bool = False) -> T | None:
            text = cells.get(name, "")
            try:
                if not text:
                    if required:
                        raise CellError("must not be empty")
                    return None
                return parse(text)
            except CellError as error:
                problems.append(RowProblem(line, name, text, str(error)))
                return None

        currency = take("currency", lambda text: cast(str, _typed("currency", text.upper())), required=True)

        def amount(name: str, required: bool) -> int | None:
            def parse(text: str) -> int:
                return parse_amount(text, str(currency), decimal_comma=self._decimal_comma, zero=not required)

            return take(name, parse, required) if currency else None

        given = {
            "customer_id": take("customer_id", lambda text: _typed("customer_id", text), required=True),
            "customer_name": take("customer_name", lambda text: _typed("customer_name", text), required=True),
            "country": take("country", lambda text: _typed("country", text.upper()), required=True),
            "invoice_number": take("invoice_number", lambda text: self._number(line, text), required=True),
            "issue_date": take("issue_date", lambda text: parse_date(text, self._pattern), required=True),
            "due_date": take("due_date", lambda text: parse_date(text, self._pattern)),
            "amount_minor": amount("amount", required=True),
            "currency": currency,
            "profile": take("profile", _profile),
            "email": take("email", lambda text: _typed("email", text)),
            "phone": take("phone", lambda text: _typed("phone", text)),
            "timezone": take("timezone", lambda text: _typed("timezone", text)),
            "language": take("language", lambda text: _typed("language", text)),
            "disputed": take("disputed", parse_flag),
            "paid_date": take("paid_date", lambda text: parse_date(text, self._pattern)),
            "open_minor": amount("open_amount", required=False),
            "sms_consent": take("sms_consent", parse_flag),
            "address": take("address", lambda text: _typed("address", text)),
        }
        if not problems:
            problems = [RowProblem(line, name, cells.get(name, ""), reason) for name, reason in _contradictions(given)]
        return (None, problems) if problems else (LedgerRow(line=line, **cast(Any, given)), [])

    def _number(self, line: int, text: str) -> str:
        number = str(_typed("invoice_number", text))
        first = self._numbers.setdefault(number, line)
        if first != line:
            raise CellError(f"is on line {first} already")
        return number


def _contradictions(given: dict[str, Any]) -> list[tuple[str, str]]:
    issued, due, paid = given["issue_date"], given["due_date"], given["paid_date"]
    amount, still_open = given["amount_minor"], given["open_minor"]
    found = []
    if due and due < issued:
        found.append(("due_date", f"is before the issue date {issued}"))
    if paid and paid < issued:
        found.append(("paid_date", f"is before the issue date {issued}"))
    if still_open is not None and still_open > amount:
        found.append(("open_amount", "is more than the amount"))
    if still_open and paid:
        found.append(("open_amount", "is still open, but paid_date says it was paid in full"))
    return found


def may_be_number(text: str) -> bool:
    """Whether an invoice may have this number."""
    try:
        _typed("invoice_number", text)
    except CellError:
        return False
    return True


def _profile(text: str) -> str:
    profile = text.casefold()
    if profile not in PROFILES:
        raise CellError(f"is none of {', '.join(PROFILES)}")
    return profile


@lru_cache(maxsize=65536)
def _typed(name: str, text: str) -> Any:
    try:
        return TYPES[name].validate_python(text)
    except ValidationError as error:
        if name == "language":
            raise CellError("is no language tag, as de or fr-CH") from None
        message = error.errors(include_url=False, include_context=False)[0]["msg"]
        raise CellError(f"is refused: {message.rstrip('.')}") from None

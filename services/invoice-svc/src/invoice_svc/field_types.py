"""Field types of this service's bodies, each refusing what cannot be and saying the way out."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from remit_service.validation import Text

FIRST_DAY, LAST_DAY = date(1970, 1, 1), date(2199, 12, 31)

if TYPE_CHECKING:
    Name = str
    Label = str
    Reason = str
    Lines = str
else:
    Name, Label, Reason, Lines = Text(200), Text(100), Text(500), Text(1000, lines=True)


def _day(value: Any) -> Any:
    """Only YYYY-MM-DD: a number or a run of digits would be read as seconds since 1970."""
    if type(value) is date or value is None:
        return value
    if isinstance(value, str) and len(value) == 10 and value[4] == value[7] == "-":
        try:
            day = date.fromisoformat(value)
        except ValueError:
            day = None
        if day is not None and FIRST_DAY <= day <= LAST_DAY:
            return day
    raise PydanticCustomError("date", "This must be a date as YYYY-MM-DD, from 1970 to 2199.")


def _iban(text: str) -> str:
    """ISO 13616: the check digits make the number 1 modulo 97."""
    iban = text.replace(" ", "").upper()
    if re.fullmatch(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}", iban):
        digits = "".join(str(int(char, 36)) for char in iban[4:] + iban[:4])
        if int(digits) % 97 == 1:
            return iban
    raise PydanticCustomError("iban", "This is no IBAN: check its digits, as in DE89 3704 0044 0532 0130 00.")


def _link(text: str) -> str:
    if re.fullmatch(r"https://[^\s<>\"'@/]+\.[^\s<>\"'@]+", text):
        return text
    raise PydanticCustomError("link", "This is no link: give one that begins with https:// and holds no spaces.")


Day = Annotated[date, BeforeValidator(_day)]
Iban = Annotated[str, Field(max_length=42), AfterValidator(_iban)]
Bic = Annotated[str, Field(pattern=r"^[A-Z]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?$")]
Link = Annotated[str, Field(max_length=500), AfterValidator(_link)]
Line = Annotated[int, Field(strict=True, ge=1, le=2**31 - 1)]

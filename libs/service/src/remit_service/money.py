"""Money: integer minor units beside an ISO 4217 code; never float."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from importlib.resources import files
from typing import Annotated

from pydantic import Field

LARGEST_MINOR = 10**15
"""Ten trillion in a currency with cents: more than anyone owes, less than a 64-bit column holds in sums."""

AmountMinor = Annotated[int, Field(strict=True, gt=0, le=LARGEST_MINOR, description="In minor units, as cents.")]


@lru_cache(maxsize=1)
def currencies() -> dict[str, int]:
    """The decimals of each ISO 4217 currency (data/iso4217.csv, dated in its first line)."""
    lines = files("remit_service").joinpath("data", "iso4217.csv").read_text(encoding="ascii").splitlines()
    rows = (line.split(",") for line in lines if not line.startswith(("#", "code,")))
    return {code: int(decimals) for code, decimals in rows}


def exponent(currency: str) -> int:
    """How many decimals a currency has: yen 0, euro 2, dinar 3; ValueError when there is no such currency."""
    try:
        return currencies()[currency]
    except KeyError:
        raise ValueError(f"{currency} is no ISO 4217 currency in use") from None


def to_minor(amount: Decimal, currency: str) -> int:
    """Exactly; ValueError when the amount has more decimals than the currency, or is no finite number."""
    digits = exponent(currency)
    if not amount.is_finite():
        raise ValueError(f"{amount} is no amount")
    scaled = amount.scaleb(digits)
    if scaled != scaled.to_integral_value():
        raise ValueError(f"{amount} has more than the {digits} decimals of {currency}")
    if abs(scaled) > LARGEST_MINOR:
        raise ValueError(f"{amount} {currency} is too large")
    return int(scaled)


def from_minor(amount_minor: int, currency: str) -> Decimal:
    """The amount with the currency's decimals: 1999 EUR is Decimal("19.99")."""
    return Decimal(amount_minor).scaleb(-exponent(currency))

"""Random ledgers of the awkward kind: odd, blank and several zones, Friday-Saturday weekends, yen, cents and fils,
never-paid invoices, customers nobody can reach, two that share an address.
"""

from __future__ import annotations

import csv
import random
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

COLUMNS = (
    "customer_id", "customer_name", "email", "phone", "profile", "country", "timezone", "language",
    "invoice_number", "issue_date", "due_date", "amount", "currency", "disputed", "paid_date", "sms_consent", "address",
)  # fmt: skip

# country, zone, language, currency, a valid mobile number there
PLACES = (
    ("AU", "Australia/Lord_Howe", "en", "AUD", "+61412345678"),
    ("NP", "Asia/Kathmandu", "en", "NPR", "+9779841234567"),
    ("BR", "America/Sao_Paulo", "pt", "BRL", "+5511961234567"),
    ("NZ", "Pacific/Chatham", "en", "NZD", "+64211234567"),
    ("IL", "Asia/Jerusalem", "he", "ILS", "+972502345678"),
    ("EG", "Africa/Cairo", "ar", "EGP", "+201001234567"),
    ("KW", "Asia/Kuwait", "ar", "KWD", "+96550012345"),
    ("JP", "Asia/Tokyo", "ja", "JPY", "+819012345678"),
    ("DE", "Europe/Berlin", "de", "EUR", "+4915112345678"),
    ("FR", "Europe/Paris", "fr", "EUR", "+33612345678"),
    ("US", "America/New_York", "en", "USD", "+12015550123"),
    ("CL", "America/Santiago", "es", "CLP", "+56921234567"),
)
DECIMALS = {"JPY": 0, "CLP": 0, "KWD": 3}


def random_ledger(seed: int, customers: int = 24, invoices: int = 160) -> list[dict[str, str]]:
    """One reproducible ledger; dates lie in 2025 and 2026, a third of the invoices late, a tenth never paid."""
    dice = random.Random(seed)  # noqa: S311 - reproducible, not secret
    people = [_customer(dice, index) for index in range(customers)]
    people[-1]["email"] = people[1]["email"] = "shared@example.com"
    people[0] |= {"email": "", "phone": "", "address": ""}
    owners = [dice.choice(people) for _ in range(invoices)]
    return [owner | _invoice(dice, index, DECIMALS.get(owner["currency"], 2)) for index, owner in enumerate(owners)]


def write_ledger(ledger: list[dict[str, str]], path: Path) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows({name: row[name] for name in COLUMNS} for row in ledger)
    return path


def _customer(dice: random.Random, index: int) -> dict[str, str]:
    country, zone, language, currency, phone = PLACES[index % len(PLACES)]
    return {
        "customer_id": f"C{index:03}",
        "customer_name": f"Customer {index}",
        "email": f"ap{index}@example.com" if dice.random() < 0.9 else "",
        "phone": phone if index < len(PLACES) else "",
        "profile": dice.choice(["business", "business", "individual", "government"]),
        "country": country,
        "timezone": zone if index < len(PLACES) or dice.random() < 0.5 else "",
        "language": language,
        "currency": currency,
        "sms_consent": dice.choice(["yes", "no"]),
        "address": dice.choice(["", "1 High Street, Town"]),
    }


def _invoice(dice: random.Random, index: int, decimals: int) -> dict[str, str]:
    issued = date(2025, 1, 1) + timedelta(days=dice.randrange(400))
    due = issued + timedelta(days=dice.choice([0, 1, 7, 14, 30, 30, 60]))
    fate = dice.random()
    paid = None if fate < 0.1 else due + timedelta(days=dice.randint(-10, 0) if fate < 0.65 else dice.randint(1, 60))
    return {
        "invoice_number": f"R{index:05}",
        "issue_date": issued.isoformat(),
        "due_date": due.isoformat(),
        "amount": str(Decimal(dice.randint(1, 500_000)).scaleb(-decimals)),
        "disputed": "yes" if dice.random() < 0.1 else "no",
        "paid_date": max(paid, issued).isoformat() if paid else "",
    }

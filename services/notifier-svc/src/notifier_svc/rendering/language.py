"""Languages: one folder under `templates/` each, with its words (`words.toml`), and which one a message is in."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from babel import Locale, UnknownLocaleError
from babel.languages import get_official_languages
from babel.localedata import exists

from notifier_svc.rendering.formats import Formats
from remit_events.state import CustomerState, SellerState

TEMPLATES = Path(__file__).parent.parent / "templates"
FALLBACK = "en"
_TAG = re.compile(
    r"(?P<base>[A-Za-z]{2,3})(?:[-_](?P<script>[A-Za-z]{4}))?(?:[-_](?P<region>[A-Za-z]{2}|\d{3}))?(?:[-_].*)?"
)


@dataclass(frozen=True, slots=True)
class Language:
    """The words of one language: labels with `{placeholders}`, and counted phrases by CLDR plural category."""

    code: str
    locale_id: str
    labels: Mapping[str, str]
    plurals: Mapping[str, Mapping[str, str]]
    category: Callable[[int], str]

    def say(self, key: str, **values: str) -> str:
        """The label `key`, filled in. KeyError where a language lacks it."""
        return self.labels[key].format(**values) if values else self.labels[key]

    def plural(self, key: str, n: int, **values: str) -> str:
        """The phrase `key` for `n`: the form written for exactly n (`=1`), else its plural category, else `other`."""
        forms = self.plurals[key]
        form = forms.get(f"={n}") or forms.get(self.category(n)) or forms["other"]
        return form.format(n=n, **values)

    def listed(self, parts: Sequence[str]) -> str:
        """a; a and b; a, b and c."""
        if len(parts) < 2:
            return "".join(parts)
        return f"{', '.join(parts[:-1])} {self.labels['and']} {parts[-1]}"


def load(folder: Path) -> Language:
    """Read one language folder's `words.toml`."""
    raw = tomllib.loads((folder / "words.toml").read_text("utf-8"))
    locale = Locale.parse(raw["locale"])

    @lru_cache(maxsize=1024)
    def category(n: int) -> str:
        return str(locale.plural_form(n))

    return Language(folder.name, raw["locale"], raw["labels"], raw["plurals"], category)


LANGUAGES: Mapping[str, Language] = {
    path.parent.name: load(path.parent) for path in sorted(TEMPLATES.glob("*/words.toml"))
}


@dataclass(frozen=True, slots=True)
class Choice:
    """The tag used (as the customer's or seller's record has it, in canonical case), its words and its formats."""

    tag: str
    language: Language
    formats: Formats


def between(customer: CustomerState, seller: SellerState) -> Choice:
    """The language a seller writes to a customer in."""
    return choose(customer.language, customer.country, seller.language, seller.country)


@lru_cache(maxsize=2048)
def choose(customer_tag: str | None, customer_country: str, seller_tag: str, seller_country: str) -> Choice:
    """The customer's language, else the seller's, else English; its region, else one where it is official."""
    for tag in (customer_tag, seller_tag, FALLBACK):
        match = _TAG.fullmatch((tag or "").strip())
        if match is None or match["base"].lower() not in LANGUAGES:
            continue
        base, region = match["base"].lower(), (match["region"] or "").upper()
        language = LANGUAGES[base]
        locale_id = _locale_id(language, region, (customer_country, seller_country))
        return Choice(f"{base}-{region}" if region else base, language, Formats(locale_id))
    raise LookupError(f"no folder templates/{FALLBACK}")


def _locale_id(language: Language, region: str, countries: Sequence[str]) -> str:
    """`de-AT` has its own formats; a bare `en` takes those of an English-speaking country it goes to or comes from."""
    spoken = [c.upper() for c in countries if language.code in get_official_languages(c.upper(), de_facto=True)]
    for candidate in (region, *spoken):
        locale_id = f"{language.code}_{candidate}"
        if candidate and exists(locale_id):
            try:
                return str(Locale.parse(locale_id))
            except (UnknownLocaleError, ValueError):
                continue
    return language.locale_id

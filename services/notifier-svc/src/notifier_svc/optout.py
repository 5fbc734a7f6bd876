"""What an inbound SMS asks for, and how a stop is confirmed. Source: CTIA principles, Twilio's default keywords."""

from __future__ import annotations

import re
from typing import Literal

Intent = Literal["stop", "start", "other"]

# Words that say it wherever they open a message; the others are also used for invoices and months.
_OPENING = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "OPTOUT"})
STOP_WORDS = _OPENING | {"CANCEL", "END", "QUIT", "REVOKE"}
START_WORDS = frozenset({"START", "UNSTOP", "YES"})
# What may stand around a STOP word without changing its meaning ("stop please", "please STOP texting me").
_FILLER = (
    "PLEASE PLS NOW ALL THIS THESE IT THE MY ME TO TEXTING TEXTS TEXT MESSAGING MESSAGES MESSAGE SMS SENDING "
    "CONTACTING REMINDERS REMINDER THANKS THANK YOU I WANT WOULD LIKE FROM BITTE DANKE MERCI SVP JETZT"
)
_AROUND = frozenset(_FILLER.split())
_WORD = re.compile(r"[^\W_]+")
_OPT_OUT = re.compile(r"\bOPT OUT\b")


def intent(body: str) -> Intent:
    """What a message asks for, by the words it begins with or has nothing beside.

    "please stop", "Stop." and "STOP texting me" stop, and so does "Stop, I paid already". "End of the month I will
    pay" and "Cancel my order" are for a person to read; START words count only alone.
    """
    words = _words(body)
    if not words:
        return "other"
    if words[0] in _OPENING or (STOP_WORDS & set(words) and not says_more(body)):
        return "stop"
    if words[0] in START_WORDS and set(words) <= START_WORDS | _AROUND:
        return "start"
    return "other"


def says_more(body: str) -> bool:
    """Whether there is something in it beside the word itself, which a person should read."""
    return not set(_words(body)) <= STOP_WORDS | START_WORDS | _AROUND


def _words(body: str) -> list[str]:
    return _OPT_OUT.sub("OPTOUT", " ".join(_WORD.findall(body.replace("-", "").upper()))).split()


_CONFIRMATION = {
    "en": "{seller}: you will get no more text messages from us. Reply START to get them again.",
    "de": "{seller}: Sie erhalten keine SMS mehr von uns. Antworten Sie START, um sie wieder zu erhalten.",
    "fr": "{seller} : vous ne recevrez plus de SMS de notre part. Répondez START pour les recevoir à nouveau.",
}


def confirmation(seller: str, language: str) -> str:
    """The one SMS that answers a stop, naming the seller and the way back."""
    return _CONFIRMATION.get(language.partition("-")[0].lower(), _CONFIRMATION["en"]).format(seller=seller)

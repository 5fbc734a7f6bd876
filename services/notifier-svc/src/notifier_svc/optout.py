"""What an inbound SMS asks for, and how a stop is confirmed. Source: CTIA principles, Twilio's default keywords."""

from __future__ import annotations

import re
from typing import Literal

Intent = Literal["stop", "start", "other"]

STOP_WORDS = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"})
START_WORDS = frozenset({"START", "UNSTOP", "YES"})
# What may stand around a STOP word without changing its meaning ("stop please", "please STOP texting me").
_FILLER = (
    "PLEASE PLS NOW ALL THIS THESE IT THE MY ME TO TEXTING TEXTS TEXT MESSAGING MESSAGES MESSAGE SMS SENDING "
    "CONTACTING REMINDERS REMINDER THANKS THANK YOU I WANT WOULD LIKE FROM BITTE DANKE MERCI SVP JETZT"
)
_AROUND = frozenset(_FILLER.split())
_WORD = re.compile(r"[^\W_]+")


def intent(body: str) -> Intent:
    """`stop` when a STOP word opens the message or stands among filler only; START words only alone.

    "please stop", "Stop." and "STOP texting me" stop; "I will pay, no need to cancel" is for a person to read.
    """
    words = [word.upper() for word in _WORD.findall(body.replace("-", ""))]
    if "OPT" in words and "OUT" in words[words.index("OPT") + 1 :][:1]:
        return "stop"
    if not words:
        return "other"
    if words[0] in STOP_WORDS or (STOP_WORDS & set(words) and set(words) <= STOP_WORDS | _AROUND):
        return "stop"
    if words[0] in START_WORDS and set(words) <= START_WORDS | _AROUND:
        return "start"
    return "other"


_CONFIRMATION = {
    "en": "{seller}: you will get no more text messages from us. Reply START to get them again.",
    "de": "{seller}: Sie erhalten keine SMS mehr von uns. Antworten Sie START, um sie wieder zu erhalten.",
    "fr": "{seller} : vous ne recevrez plus de SMS de notre part. Répondez START pour les recevoir à nouveau.",
}


def confirmation(seller: str, language: str | None) -> str:
    """The one SMS that answers a stop, naming the seller and the way back."""
    return _CONFIRMATION.get((language or "en").partition("-")[0].lower(), _CONFIRMATION["en"]).format(seller=seller)

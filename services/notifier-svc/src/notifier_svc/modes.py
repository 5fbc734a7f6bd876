"""Which way a message takes by DELIVERY_MODE, so that nothing real leaves by accident.

mailbox: everything to the folder. redirect: e-mail and SMS to one test address, letters to the folder. allowlist:
listed addresses for real, the rest to the folder. live: for real, for sellers who are ready and switched it on.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from notifier_svc.providers import Checked, Provider
from notifier_svc.providers.limits import Guarded
from notifier_svc.providers.mailbox import Letters, Mailbox
from notifier_svc.providers.smtp import Smtp, SmtpServer
from notifier_svc.providers.twilio import Twilio, TwilioAccount
from notifier_svc.settings import Settings
from remit_events.state import Channel, SellerState
from remit_service.clock import Clock

LIVE_OFF = "live-off"
FOLDER_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Way:
    """By which provider and to which address; `redirected`: not to the one it is meant for."""

    provider: Guarded
    recipient: str
    redirected: bool = False


@dataclass(frozen=True, slots=True)
class NotNow:
    """It may go later: why, and when to look again (None: the caller's own pause)."""

    why: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Never:
    """Certainly not on this channel."""

    why: str


def missing_for_live(seller: SellerState) -> list[str]:
    """What a seller must have before anything of theirs may really leave."""
    facts = {
        "sender_email": seller.sender_email,
        "reply_to": seller.reply_to,
        "a way to pay (iban or payment_link)": seller.has_way_to_pay,
    }
    return [name for name, given in facts.items() if not given]


class Ways:
    """The providers there are, and the choice among them."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self.mode = settings.delivery_mode
        self.mailbox = Guarded(
            Mailbox(_folder(settings.mailbox_folder, "MAILBOX_FOLDER")), clock, at_once=FOLDER_AT_ONCE
        )
        # In mailbox mode too, to be checked and tried; no message to a debtor takes them there.
        self.smtp = _smtp(settings, clock) if settings.smtp_host else None
        self.twilio: Twilio | None = _twilio(settings) if settings.twilio_account_sid else None
        self._sms = Guarded(self.twilio, clock, rate=settings.twilio_rate, at_once=16) if self.twilio else None
        self._letters = (
            Guarded(_letters(settings), clock, at_once=FOLDER_AT_ONCE) if self.mode == "live" else self.mailbox
        )

    def way(self, channel: Channel, recipient: str, seller: SellerState, live: bool) -> Way | NotNow | Never:
        """`live`: the seller's switch."""
        if self.mode == "mailbox":
            return self._open(Way(self.mailbox, recipient))
        if self.mode == "redirect":
            return self._open(self._redirected(channel, recipient))
        if self.mode == "allowlist" and not self._allowed(recipient):
            return self._open(Way(self.mailbox, recipient))
        if self.mode == "live" and (not live or missing_for_live(seller)):
            return NotNow(LIVE_OFF)
        provider = {Channel.EMAIL: self.smtp, Channel.SMS: self._sms, Channel.LETTER: self._letters}[channel]
        return self._open(Way(provider, recipient)) if provider else Never("not-configured")

    def addressed(self, channel: Channel, recipient: str) -> str:
        """Where a message meant for `recipient` really went."""
        return self._redirected(channel, recipient).recipient if self.mode == "redirect" else recipient

    def _redirected(self, channel: Channel, recipient: str) -> Way:
        if channel is Channel.EMAIL and self.smtp and self._settings.redirect_email:
            return Way(self.smtp, self._settings.redirect_email, redirected=True)
        if channel is Channel.SMS and self._sms and self._settings.redirect_phone:
            return Way(self._sms, self._settings.redirect_phone, redirected=True)
        return Way(self.mailbox, recipient)

    def _allowed(self, recipient: str) -> bool:
        address = recipient.lower()
        return address in self._settings.allowed or "@" + address.rpartition("@")[2] in self._settings.allowed

    @staticmethod
    def _open(way: Way) -> Way | NotNow:
        ready_at = way.provider.breaker.ready_at()
        return NotNow("provider-down", ready_at) if ready_at else way

    @property
    def providers(self) -> list[Guarded]:
        found = [self.mailbox, self.smtp, self._sms, self._letters]
        return list(dict.fromkeys(provider for provider in found if provider))

    async def check(self) -> list[Checked]:
        """Tries every provider's credentials; sends nothing."""
        return [await provider.check() for provider in self.providers]

    def real(self, channel: Channel) -> Provider | None:
        """The provider a test message to oneself takes, past all modes; None where none is configured."""
        guarded = self.smtp if channel is Channel.EMAIL else self._sms
        return guarded.provider if guarded else None

    async def close(self) -> None:
        await _close(self.providers)


def _smtp(settings: Settings, clock: Clock) -> Guarded:
    password = settings.smtp_password.get_secret_value() if settings.smtp_password else None
    server = SmtpServer(
        host=settings.smtp_host or "",
        port=settings.smtp_port,
        security=settings.smtp_security,
        username=settings.smtp_username,
        password=password,
        timeout=settings.smtp_timeout,
        ca_file=settings.smtp_ca_file,
    )
    return Guarded(Smtp(server, settings.dkim), clock, rate=settings.smtp_rate, at_once=settings.smtp_connections)


def _letters(settings: Settings) -> Letters:
    return Letters(_folder(settings.letters_folder or settings.mailbox_folder / "letters", "LETTERS_FOLDER"))


def _folder(folder: Path, variable: str) -> Path:
    """The folder, made if need be; FileNotFoundError says what to do when it cannot be used."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise FileNotFoundError(f"{variable}: {folder} cannot be made ({why}); name another folder") from None
    if not os.access(folder, os.W_OK):
        raise FileNotFoundError(f"{variable}: {folder} cannot be written; give the right to, or name another folder")
    return folder


def _twilio(settings: Settings) -> Twilio:
    token = settings.twilio_auth_token
    account = TwilioAccount(
        sid=settings.twilio_account_sid or "",
        token=token.get_secret_value() if token else "",
        sender=settings.twilio_from,
        messaging_service=settings.twilio_messaging_service_sid,
        base_url=settings.twilio_base_url,
        public_url=settings.public_url,
        timeout=settings.twilio_timeout,
    )
    return Twilio(account)


async def _close(providers: Iterable[Guarded]) -> None:
    for provider in providers:
        await provider.close()

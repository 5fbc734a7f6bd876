"""What notifier-svc is told by its environment; the defaults keep every message on this machine."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from notifier_svc.providers.signing import Dkim
from remit_service.settings import ServiceSettings
from remit_service.validation import Patterned, WebAddress

DeliveryMode = Literal["mailbox", "redirect", "allowlist", "live"]

if TYPE_CHECKING:
    OptionalPhone = str | None
    OptionalAddress = str | None
else:
    OptionalPhone = Patterned(r"^\+[1-9]\d{5,14}$", "Write the number with its country code, as +4930123456.") | None
    OptionalAddress = Patterned(r"^[^@\s]+@[^@\s]+$", "Write an e-mail address, as name@example.com.") | None


class Settings(ServiceSettings):
    """`DELIVERY_MODE`: mailbox (all to a folder), redirect (all to one address), allowlist, or live.

    Seconds for times, messages per second for rates. `PUBLIC_URL` is where debtors and Twilio reach this service.
    """

    port: int = Field(default=8003, ge=0, le=65535)
    invoice_url: WebAddress = "http://127.0.0.1:8001"
    scheduler_url: WebAddress = "http://127.0.0.1:8002"
    public_url: WebAddress | None = None

    delivery_mode: DeliveryMode = "mailbox"
    mailbox_folder: Path = Path(".remit/mailbox")
    letters_folder: Path | None = None
    redirect_email: OptionalAddress = None
    redirect_phone: OptionalPhone = None
    allowlist: str = ""

    balance_max_age: float = Field(default=0.25, gt=0, le=5)
    send_batch: int = Field(default=200, ge=1, le=1000)

    smtp_host: str | None = None
    smtp_port: int = Field(default=587, ge=1, le=65535)
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    smtp_ca_file: Path | None = None
    smtp_username: str | None = None
    smtp_password: SecretStr | None = None
    smtp_connections: int = Field(default=8, ge=1, le=100)
    smtp_rate: float = Field(default=50, gt=0)
    smtp_timeout: float = Field(default=20, gt=0)

    dkim_domain: str | None = None
    dkim_selector: str | None = None
    dkim_key_file: Path | None = None

    twilio_account_sid: str | None = None
    twilio_auth_token: SecretStr | None = None
    twilio_from: OptionalPhone = None
    twilio_messaging_service_sid: str | None = None
    twilio_base_url: WebAddress = "https://api.twilio.com"
    twilio_rate: float = Field(default=10, gt=0)
    twilio_timeout: float = Field(default=15, gt=0)
    twilio_poll_seconds: float = Field(default=30, gt=0)

    @field_validator("public_url", "twilio_base_url", "invoice_url", "scheduler_url")
    @classmethod
    def _no_trailing_slash(cls, url: str | None) -> str | None:
        return url.rstrip("/") if url else url

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.delivery_mode != "mailbox" and not self.smtp_host:
            raise ValueError(f"DELIVERY_MODE={self.delivery_mode} needs SMTP_HOST; leave it at mailbox to send nothing")
        if self.delivery_mode == "redirect" and not self.redirect_email:
            raise ValueError("DELIVERY_MODE=redirect needs REDIRECT_EMAIL, the one address everything goes to")
        if self.delivery_mode == "allowlist" and not self.allowed:
            raise ValueError("DELIVERY_MODE=allowlist needs ALLOWLIST: addresses, @domains, phone numbers by comma")
        if bool(self.twilio_account_sid) != bool(self.twilio_auth_token):
            raise ValueError("TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN belong together: set both or neither")
        dkim = (self.dkim_domain, self.dkim_selector, self.dkim_key_file)
        if any(dkim) and not all(dkim):
            raise ValueError("DKIM_DOMAIN, DKIM_SELECTOR and DKIM_KEY_FILE belong together: set all or none")
        if self.dkim_key_file and not self.dkim_key_file.is_file():
            raise ValueError(f"DKIM_KEY_FILE: there is no file {self.dkim_key_file}")
        _ = self.dkim
        return self

    @cached_property
    def dkim(self) -> Dkim | None:
        """What signs e-mails; ValueError for a key that cannot."""
        if not (self.dkim_domain and self.dkim_selector and self.dkim_key_file):
            return None
        try:
            return Dkim.read(self.dkim_domain, self.dkim_selector, self.dkim_key_file)
        except ValueError as error:
            raise ValueError(f"DKIM_KEY_FILE: {self.dkim_key_file} {error}") from None

    @cached_property
    def allowed(self) -> frozenset[str]:
        """Who may get real messages in allowlist mode: addresses, `@domain`s and phone numbers, lower-case."""
        return frozenset(entry.strip().lower() for entry in self.allowlist.split(",") if entry.strip())

"""The local mailbox: e-mails, SMS and letters as files in one folder, so that nothing real leaves by accident."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from notifier_svc.mime import HeaderInjectionError
from notifier_svc.providers import WITHDRAWN, Checked, Confirm, Outcome, Outgoing
from notifier_svc.providers.email import compose
from remit_events.state import Channel

_UNSAFE = re.compile(r"[^A-Za-z0-9.-]+")


class Mailbox:
    """Writes .eml, .sms.txt and .letter.pdf; a file appears whole or not at all (written aside, then renamed)."""

    name = "mailbox"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def send(self, outgoing: Outgoing, confirm: Confirm) -> Outcome:
        """The writes are small and go to the page cache: quicker than a hop to a thread."""
        try:
            files = files_of(outgoing)
        except HeaderInjectionError as error:
            return Outcome.refused("header-injection", str(error))
        if not await confirm():
            return WITHDRAWN
        try:
            for name, content in files.items():
                write_whole(self.folder / name, content)
        except OSError as error:
            return Outcome.retry("folder-not-writable", f"{type(error).__name__}: {error.strerror}", down=True)
        return Outcome.sent(next(iter(files)))

    async def check(self) -> Checked:
        if os.access(self.folder, os.W_OK):
            return Checked(self.name, True, f"writes to {self.folder}")
        return Checked(self.name, False, f"{self.folder} cannot be written: give the service the right to, or move it")

    async def close(self) -> None:
        return None


class Letters(Mailbox):
    """Print-ready letters for a print shop: the PDF, and beside it a JSON file that says where it goes."""

    name = "letters"

    async def send(self, outgoing: Outgoing, confirm: Confirm) -> Outcome:
        if outgoing.channel is not Channel.LETTER:
            return Outcome.refused("not-a-letter", "only letters go to the letters folder")
        return await super().send(outgoing, confirm)


def files_of(outgoing: Outgoing) -> dict[str, bytes]:
    """File names that sort by time and can be read, with their contents; the first one names the message."""
    base = file_name(outgoing)
    if outgoing.channel is Channel.EMAIL:
        return {f"{base}.eml": compose(outgoing)}
    if outgoing.channel is Channel.SMS:
        head = f"To: {outgoing.recipient}\nFrom: {outgoing.seller.sms_from or outgoing.seller.name}\n"
        return {f"{base}.sms.txt": f"{head}Date: {outgoing.at.isoformat()}\n\n{outgoing.sms or ''}\n".encode()}
    about = {
        "delivery_id": str(outgoing.delivery_id),
        "to": outgoing.customer_name,
        "address": outgoing.recipient,
        "subject": outgoing.subject,
        "language": outgoing.language,
        "at": outgoing.at.isoformat(),
    }
    return {
        f"{base}.letter.pdf": outgoing.letter or b"",
        f"{base}.letter.json": json.dumps(about, indent=2, ensure_ascii=False).encode(),
    }


def file_name(outgoing: Outgoing) -> str:
    """`2026-01-05T080000Z-muster-gmbh-overdue-second-0f3a9c12`, without its ending."""
    parts = [
        f"{outgoing.at:%Y-%m-%dT%H%M%SZ}",
        _slug(outgoing.customer_key),
        outgoing.stage.value,
        *([_slug(outgoing.step)] if outgoing.step != outgoing.stage.value else []),
        outgoing.delivery_id.hex[-12:],
    ]
    return "-".join(part for part in parts if part)


def write_whole(path: Path, content: bytes) -> None:
    """Written beside its place and renamed into it; raises OSError."""
    aside = f"{path.parent}/.{path.name}.part"
    file = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
    try:
        left = memoryview(content)
        while left:
            left = left[os.write(file, left) :]
    finally:
        os.close(file)
    os.rename(aside, path)  # on the path of every message; Path costs as much as the call


def _slug(text: str) -> str:
    return _UNSAFE.sub("-", text).strip("-.").lower()[:40]

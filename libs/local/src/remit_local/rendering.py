"""Planned messages as they would read, written as files to look at."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

from remit_local.client import Remit

LONGEST_NAME = 200  # with what tells the channels apart, below the 255 of file systems
UNSAFE = re.compile(r"[^A-Za-z0-9.-]+")


def render_plan(remit: Remit, messages: list[dict[str, Any]], folder: Path) -> list[Path]:
    """Renders each message on its channels; gives the files written."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for number, message in enumerate(messages, start=1):
        said = remit.post("notifier-svc", "/v1/templates/preview", message)
        parts = [f"{number:04}", message["at"][:16], message["customer_name"], message["step"]]
        name = UNSAFE.sub("-", "-".join(parts)).strip("-").lower()[:LONGEST_NAME]
        for path, content in _files(folder / name, message, said).items():
            path.write_bytes(content)
            written.append(path)
    return written


def _files(base: Path, message: dict[str, Any], said: dict[str, Any]) -> dict[Path, bytes]:
    files: dict[Path, bytes] = {}
    if "email" in message["channels"]:
        files[base.with_name(base.name + ".txt")] = f"Subject: {said['subject']}\n\n{said['text']}\n".encode()
        files[base.with_name(base.name + ".html")] = said["html"].encode()
    if "sms" in message["channels"] and said["sms"]:
        files[base.with_name(base.name + ".sms.txt")] = f"{said['sms']}\n".encode()
    if "letter" in message["channels"] and said["letter_base64"]:
        files[base.with_name(base.name + ".letter.pdf")] = base64.b64decode(said["letter_base64"])
    return files

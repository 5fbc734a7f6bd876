"""Planned messages as files."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from remit_local.client import Remit
from remit_local.home import SERVICES
from remit_local.rendering import render_plan

SAID = {"subject": "s", "text": "t", "html": "<p>h</p>", "sms": "s", "letter_base64": "JVBERi0="}


@pytest.mark.parametrize("name", ["x" * 200, "../../../../etc/passwd", "株式会社リミット", "-rf *", "CON"])
def test_every_name_gives_files_in_the_folder(tmp_path: Path, name: str) -> None:
    message = {
        "at": "2026-03-02T08:00:00Z",
        "customer_name": name,
        "step": "s" * 40,
        "channels": ["email", "sms", "letter"],
    }
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=SAID))
    folder = tmp_path / "out"
    with Remit({one: f"http://{one}" for one in SERVICES}, "rk_x", transport=transport) as remit:
        written = render_plan(remit, [message, message], folder)
    assert len(set(written)) == 8
    assert set(written) == set(folder.iterdir())

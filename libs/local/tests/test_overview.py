"""What is printed to be typed works in another terminal."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from remit_local.client import Remit
from remit_local.console import out
from remit_local.home import SERVICES, Home
from remit_local.overview import program, tell_sent


def test_the_data_folder_is_named_unless_it_is_the_usual_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "--data" not in program(Home(Path(".remit")))
    assert program(Home(Path(".remit-own"))).endswith(" --data .remit-own")
    monkeypatch.setenv("REMIT_DATA", str(tmp_path / "mine"))
    assert program(Home(tmp_path / "mine")).endswith(" --data mine"), "another terminal may not have REMIT_DATA"


def test_what_was_sent_is_in_order_of_time() -> None:
    """One that was decided first may leave last: it waited while Remit was stopped."""
    listed = [
        {"sent_at": f"2026-11-23T{at}:00Z", "stage": "thanks", "customer_name": at, "channel": "email", "subject": "x"}
        for at in ("01:20", "01:30", "01:25")
    ]
    page = httpx.MockTransport(lambda _: httpx.Response(200, json={"data": listed, "next_cursor": None}))
    with Remit(dict.fromkeys(SERVICES, "http://x"), "rk_x", transport=page) as remit, out.capture() as said:
        tell_sent(remit)
    assert [line.split()[2] for line in said.get().splitlines()[2:] if line] == ["01:20", "01:25", "01:30"]

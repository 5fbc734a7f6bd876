"""The data folder: secrets closed to others, one user at a time, refusals in one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from remit_local.errors import RefusedError
from remit_local.home import Addresses, Home, data_folder


def test_secrets_are_made_once_and_closed_to_others(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    home = Home(tmp_path / "data").make()
    first = home.secret("service-key")
    assert len(first) >= 32
    assert home.secret("service-key") == first
    assert (home.folder / "service-key").stat().st_mode & 0o777 == 0o600
    assert home.mailbox.stat().st_mode & 0o777 == 0o700
    assert home.key() is None
    home.keep_secret("key", "rk_x")
    assert home.key() == "rk_x"


def test_notes_come_back(tmp_path: Path) -> None:
    home = Home(tmp_path).make()
    assert home.note("running") is None
    home.remember("running", {"urls": {"a": "b"}})
    assert home.note("running") == {"urls": {"a": "b"}}


def test_a_second_process_is_kept_out(tmp_path: Path) -> None:
    home = Home(tmp_path).make()
    code = (
        "from pathlib import Path; from remit_local.home import Home; from remit_local.errors import RefusedError\n"
        f"try:\n  with Home(Path({str(tmp_path)!r})).locked(): print('in')\nexcept RefusedError as error: print(error)"
    )

    def other() -> str:
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    with home.locked():
        assert f"already runs in {tmp_path} (process {os.getpid()})" in other()
    assert other() == "in\n"


def test_a_folder_that_cannot_be_made_is_refused_in_one_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RefusedError, match=r"cannot be used: .*Not a directory.*REMIT_DATA") as caught:
        Home(tmp_path / "file" / "data").make()
    assert "\n" not in str(caught.value)


def test_where_the_folder_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REMIT_DATA", raising=False)
    assert data_folder(None) == Path(".remit")
    monkeypatch.setenv("REMIT_DATA", "/srv/remit")
    assert data_folder(None) == Path("/srv/remit")
    assert data_folder(Path("here")) == Path("here")


def test_ports_come_from_flags_then_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOST", "REMIT_PORT", "INVOICE_PORT", "NOTIFIER_PORT"):
        monkeypatch.delenv(name, raising=False)
    assert list(Addresses.from_environment().ports.values()) == [8001, 8002, 8003, 8004]
    monkeypatch.setenv("REMIT_PORT", "9001")
    monkeypatch.setenv("NOTIFIER_PORT", "7000")
    assert list(Addresses.from_environment().ports.values()) == [9001, 9002, 7000, 9004]
    everywhere = Addresses.from_environment("0.0.0.0", 9101)  # noqa: S104 - nothing listens
    assert list(everywhere.ports.values()) == [9101, 9102, 7000, 9104]
    assert everywhere.url("invoice-svc") == "http://127.0.0.1:9101"
    monkeypatch.setenv("REMIT_PORT", "65533")
    with pytest.raises(RefusedError, match="REMIT_PORT: ESCALATION_PORT would be 65536; give at most 65532"):
        Addresses.from_environment()
    monkeypatch.setenv("REMIT_PORT", "many")
    with pytest.raises(RefusedError, match="REMIT_PORT: 'many' is not a port"):
        Addresses.from_environment()

"""What is printed to be typed works in another terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from remit_local.home import Home
from remit_local.overview import program


def test_the_data_folder_is_named_unless_it_is_the_usual_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "--data" not in program(Home(Path(".remit")))
    assert program(Home(Path(".remit-own"))).endswith(" --data .remit-own")
    monkeypatch.setenv("REMIT_DATA", str(tmp_path / "mine"))
    assert program(Home(tmp_path / "mine")).endswith(" --data mine"), "another terminal may not have REMIT_DATA"

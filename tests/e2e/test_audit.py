"""`make audit`: a known hole fails; where none can be looked up it says so, and how old the locks are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from remit_testing.printed import ROOT

SCRIPT = ROOT / "deploy" / "audit.py"
LOCKS = ("requirements.lock", "requirements-dev.lock")
HOLE = {"id": "PYSEC-1", "fix_versions": ["1.1", "2.0"], "aliases": [], "description": "x"}
SAFE = {"name": "safe", "version": "1.0", "vulns": []}
HOLED = {"name": "holed", "version": "1.0", "vulns": [HOLE]}
SKIPPED = {"name": "unknown", "skip_reason": "Dependency not found on PyPI and could not be audited: unknown (1.0)"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A repository whose locks were last changed nine and a half days ago."""
    at = {"GIT_AUTHOR_DATE": (when := f"{int(time.time()) - 228 * 3600} +0000"), "GIT_COMMITTER_DATE": when}
    who = ("-c", "user.name=Mara", "-c", "user.email=mara@nordlicht.example", "-c", "commit.gpgsign=false")
    for lock in LOCKS:
        (tmp_path / lock).write_text("safe==1.0\n", encoding="utf-8")
    for command in (("init", "-q"), ("add", "."), (*who, "commit", "-qm", "Locks")):
        subprocess.run(["git", *command], cwd=tmp_path, env=os.environ | at, check=True, capture_output=True)
    return tmp_path


def audited(folder: Path, said: str | None, *flags: str) -> tuple[int, list[str]]:
    """With a tool that says this, and writes down what it was asked; None: without one."""
    tool = folder / "tool"
    if said is not None:
        tool.write_text(
            f"#!{sys.executable}\nimport sys\nopen('asked', 'w').write(' '.join(sys.argv))\nprint({said!r})\n"
        )
        tool.chmod(0o755)
    done = subprocess.run(
        [sys.executable, SCRIPT, "--tool", tool, *flags], cwd=folder, capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def telling(*packages: Any) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


AGES = [f"{lock}: 9 days old" for lock in LOCKS]
CUT_OFF = "not audited: no database of known holes answers here; `make lock` takes what is newest"


def test_a_known_hole_fails(folder: Path) -> None:
    code, said = audited(folder, telling(SAFE, HOLED, SKIPPED), "--ignore-vuln", "PYSEC-2")
    assert code == 1
    assert said == [
        "holed 1.0: PYSEC-1, mended in 1.1, 2.0",
        "2 pinned packages audited, 1 known holes",
        "not audited: unknown",
        *AGES,
    ]
    asked = (folder / "asked").read_text()
    assert all(f"--requirement={lock}" in asked for lock in LOCKS)
    assert "--ignore-vuln PYSEC-2" in asked


def test_no_known_hole(folder: Path) -> None:
    assert audited(folder, telling(SAFE)) == (0, ["1 pinned packages audited, 0 known holes", *AGES])


@pytest.mark.parametrize(
    "said", [telling(SKIPPED, SKIPPED), "", "no JSON", None], ids=["all skipped", "", "broken", "no tool"]
)
def test_cut_off_it_says_so_and_how_old_the_locks_are(folder: Path, said: str | None) -> None:
    """An index without advisories lets pip-audit skip every package, and find no hole in none."""
    assert audited(folder, said) == (0, [CUT_OFF, *AGES])


def test_a_history_that_is_cut_off_makes_the_locks_no_younger(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    shallow = tmp_path_factory.mktemp("shallow") / "clone"
    subprocess.run(["git", "clone", "-q", "--depth", "1", folder.as_uri(), shallow], check=True, capture_output=True)
    assert audited(shallow, None)[1][1:] == [f"{age} or more (the history is cut off)" for age in AGES]


def test_without_git_their_age_is_unknown(tmp_path: Path) -> None:
    assert audited(tmp_path, None)[1][1:] == [f"{lock}: of unknown age (not in a git repository)" for lock in LOCKS]


def test_make_and_ci_call_it() -> None:
    assert "deploy/audit.py" in (ROOT / "Makefile").read_text("utf-8")
    assert "\nmake audit\n" in (ROOT / ".ci" / "run").read_text("utf-8")

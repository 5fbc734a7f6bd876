"""Known holes in what the lock files pin, by pip-audit; where no database of them answers, how old the locks are.

    make audit
    python deploy/audit.py [--tool PATH] [FLAGS OF pip-audit, such as --ignore-vuln ID]

Exit code 1 for a known hole, else 0: a machine that is cut off can still be worked on, and is told so.
"""

# A command of its own: it prints, and runs what it found on the PATH.
# ruff: noqa: S603, S607, T201

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

# What runs, and that with what it is tested and built with.
LOCKS = ("requirements.lock", "requirements-dev.lock")
# Everything is pinned: nothing is resolved or fetched but what is known of each version.
FLAGS = ("--disable-pip", "--no-deps", "--progress-spinner=off", "--format=json")
SECONDS = 300
DAY = 24 * 3600


def audit(tool: Path, flags: list[str]) -> list[dict[str, Any]] | None:
    """Every pinned package with its `vulns`, or a `skip_reason`; None when it cannot be found out."""
    command = [tool, *(f"--requirement={lock}" for lock in LOCKS), *FLAGS, *flags]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        found: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (OSError, subprocess.TimeoutExpired, ValueError):
        return None
    return found


def age(lock: str) -> str:
    """Since the lock was last changed, by git."""
    said = _git("log", "-1", "--format=%ct", "--", lock)
    if not said:
        return f"{lock}: of unknown age (not in a git repository)"
    days = int((time.time() - int(said)) // DAY)
    more = " or more (the history is cut off)" if _git("rev-parse", "--is-shallow-repository") == "true" else ""
    return f"{lock}: {days} {'day' if days == 1 else 'days'} old{more}"


def _git(*arguments: str) -> str:
    try:
        return subprocess.run(["git", *arguments], capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def report(found: list[dict[str, Any]] | None) -> int:
    """Prints what was found; gives the exit code."""
    known = [one for one in found or [] if "skip_reason" not in one]
    holes = [(one, hole) for one in known for hole in one["vulns"]]
    for one, hole in holes:
        mended = ", ".join(hole["fix_versions"]) or "no version yet"
        print(f"{one['name']} {one['version']}: {hole['id']}, mended in {mended}")
    if not known:
        print("not audited: no database of known holes answers here; `make lock` takes what is newest")
    else:
        print(f"{len(known)} pinned packages audited, {len(holes)} known holes")
    if found and known and len(known) < len(found):
        print("not audited: " + ", ".join(sorted(one["name"] for one in found if "skip_reason" in one)))
    for lock in LOCKS:
        print(age(lock))
    return 1 if holes else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tool", type=Path, default=Path(".cache/audit/bin/pip-audit"), help="where pip-audit is")
    given, more = parser.parse_known_args()
    sys.exit(report(audit(given.tool, more)))

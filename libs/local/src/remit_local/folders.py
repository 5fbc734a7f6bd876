"""Folders a command writes its result to: looked at before the work, made when there is something to write."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from remit_local.errors import RefusedError


def must_be_writable(folder: Path, names: Iterable[str] = ()) -> None:
    """Raises RefusedError unless files, those of `names` again too, can be written in `folder`; makes nothing."""
    there = next(place for place in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(place))
    if not there.is_dir():
        raise RefusedError(f"{there} is not a folder: name another place than {folder}")
    files = [folder / name for name in names if (folder / name).exists()]
    for place in (there, *files):
        if not os.access(place, os.W_OK | (os.X_OK if place is there else 0)):
            raise RefusedError(f"{place} cannot be written: give this user the right to it, or name another folder")

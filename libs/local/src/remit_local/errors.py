"""Errors a user can do something about: one line each, and the exit code the command ends with."""

from __future__ import annotations

import errno

WAYS_OUT = {
    errno.EACCES: "give this user the right to it, or name another place",
    errno.EPERM: "give this user the right to it, or name another place",
    errno.EROFS: "name a place that can be written",
    errno.ENOSPC: "make room on the disk",
    errno.EDQUOT: "make room on the disk",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
}


class RefusedError(Exception):
    """What was asked cannot be done; the message is one line with the way out. `code` is the exit code."""

    code = 2


def about_file(error: OSError) -> str:
    """What the system refused, with the path, as one line with the way out."""
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}; {WAYS_OUT.get(error.errno or 0, 'name another place')}"

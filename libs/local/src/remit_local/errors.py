"""Errors a user can do something about: one line each, and the exit code the command ends with."""

from __future__ import annotations


class RefusedError(Exception):
    """What was asked cannot be done; the message is one line with the way out. `code` is the exit code."""

    code = 2

"""Every way ckptscan fails, drawn as a tree.

CkptscanError                exit 3   could not look
    SourceError                       the source can't be reached or read
        SourceNotFound                no such path, or nothing to read there
        SourceUnreadable              it is there and can't be opened
        SourceRefused                 whoever holds it wants a login, a token or an agreement
        SourceUnreachable             the net or the server fails, or the time is over
    PackError                         a header pack that breaks its own rules
    DeviceError                       the device is not there, closed to us, or full
    UsageError               exit 2   what was asked makes no sense here

A fault inside the user's file is never an error: it is a value (header.Fault) and ends in the
report. Errors are for what could not be looked at, and each says the way out in its hint.
"""

from __future__ import annotations


class CkptscanError(Exception):
    """What went wrong in one line, with a hint on the way out."""

    exit_code = 3

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class SourceError(CkptscanError):
    """The source can't be reached or read."""


class SourceNotFound(SourceError):
    """No such path, or nothing there that ckptscan can read."""


class SourceUnreadable(SourceError):
    """The thing is there and can't be opened or read."""


class SourceRefused(SourceError):
    """Whoever holds it wants a login, a token or an agreement first."""


class SourceUnreachable(SourceError):
    """The net or the server fails, also after retries, or the time is over."""


class PackError(SourceError):
    """A header pack that breaks its own rules."""


class DeviceError(CkptscanError):
    """The device that is asked or loaded onto is not there, closed to us, or full."""


class Interrupted(KeyboardInterrupt):
    """A person has interrupted a long reading; says how far it came. Exit code 130, as Ctrl-C's."""


class UsageError(CkptscanError):
    """What was asked makes no sense here; exit code 2, as Click's own."""

    exit_code = 2

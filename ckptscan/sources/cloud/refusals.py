"""What obstore's failures mean, in words of ours: its own may hold signed addresses."""

from __future__ import annotations

import re

from ckptscan.errors import (
    SourceError,
    SourceNotFound,
    SourceRefused,
    SourceUnreachable,
    SourceUnreadable,
)

_STATUS = re.compile(r"non-2xx status code: (\d{3})")
# where credentials are asked for that the environment does not hold
_IDENTITY = re.compile(
    r"""169\.254\.169\.254 | 169\.254\.170\.2 | fd00:ec2::254  # of AWS and Azure
    | /latest/api/token | /metadata/identity | computeMetadata | metadata\.google""",
    re.VERBOSE,
)
_WORDS = (
    (re.compile(r"TimedOut|operation timed out|deadline has elapsed"), "no answer in time"),
    (re.compile(r"dns error|failed to lookup address"), "its host is not known"),
    (re.compile(r"builder error"), "its endpoint can't be used"),
    (re.compile(r"certificate|\bTLS\b|UnknownIssuer"), "its certificate is not trusted"),
    (re.compile(r"error sending request|tcp connect"), "no connection"),
    (re.compile(r"error decoding|IncompleteMessage|incomplete"), "the answer breaks off"),
)


class NotAllowed(SourceRefused):
    """The bucket knows who asks, and refuses it; something else in it may be allowed."""


def is_misnamed(error: BaseException) -> bool:
    """Whether a key that is no path is what obstore stumbled over."""
    return type(error).__name__ == "InvalidPathError"


def status_of(error: BaseException) -> int:
    """The status of the answer that a failure is about, 0 where there is none."""
    found = _STATUS.search(str(error))
    return int(found[1]) if found else 0


def explained(about: str, error: BaseException, *, is_anonymous: bool) -> SourceError:
    """The error that a failure is; `about` is the file or the bucket."""
    text, kind, status = str(error), type(error).__name__, status_of(error)
    if is_misnamed(error) or "Could not parse path" in text:
        return SourceUnreadable(
            f"{about}: holds keys that are no paths", "name its index or a file"
        )
    if _IDENTITY.search(text):
        return SourceRefused(
            f"{about}: no credentials are found",
            "set them in the environment; for a public bucket give --anonymous",
        )
    if "NoSuchBucket" in text or "ContainerNotFound" in text:
        return SourceNotFound(f"{about}: there is no such bucket", "check its name")
    if status == 404 or kind in ("FileNotFoundError", "NotFoundError"):
        return SourceNotFound(f"{about}: is not in its bucket", "check the name")
    if status in (401, 403) or kind in ("PermissionDeniedError", "UnauthenticatedError"):
        return NotAllowed(f"{about}: its bucket refuses it", _way_in(is_anonymous))
    if status in (301, 307, 308) or "configured region" in text:
        return SourceUnreachable(
            f"{about}: its bucket is in another region", "set AWS_REGION to the bucket's"
        )
    if status:
        return SourceUnreachable(f"{about}: its store answers ({status})", "try again later")
    words = next((words for regex, words in _WORDS if regex.search(text)), f"it fails ({kind})")
    hint = "check the network, and the endpoint if one is set"
    return SourceUnreachable(f"{about}: {words}", hint)


def _way_in(is_anonymous: bool) -> str:
    if is_anonymous:
        return "it is not public; leave --anonymous out, and set credentials"
    return "check the credentials of the environment; for a public bucket give --anonymous"

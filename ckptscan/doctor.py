"""What ckptscan stands on: packages, caches, cards, the Hub; each with what is wrong with it.

Gathers and judges; nothing is installed, written or repaired.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from typing import NamedTuple

from ckptscan.errors import CkptscanError
from ckptscan.sources import cache
from ckptscan.sources.hub import settings
from ckptscan.sources.hub.reaching import Reached, has_token, reach
from ckptscan.version import VERSION

# obstore>=0.9; python_version >= "3.11" and extra == "cloud"
_REQUIRED = re.compile(
    r"""(?P<name>[\w.-]+) (?:\[[\w,-]*\])?
        (?:>=(?P<least>[\d.]+))? [^;]* (?P<when>;.*)?""",
    re.VERBOSE,
)
_EXTRA = re.compile(r"""extra == ["']([\w-]+)["']""")
_PYTHON = re.compile(r"""python_version (<|>=) ["'](\d+)\.(\d+)["']""")
_FOR_DEVELOPERS = ("dev", "servers")


class Package(NamedTuple):
    """One that is required, or wanted by an extra; `version` is None where it is not there."""

    name: str
    least: str
    version: str | None
    extra: str = ""

    @property
    def problem(self) -> str:
        """What is wrong with it, or nothing."""
        if self.version is None:
            return "" if self.extra else "is missing"
        if _numbers(self.version) < _numbers(self.least):
            return f"is older than {self.least}"
        return ""


class Cache(NamedTuple):
    """A folder that holds what was read, or may."""

    name: str
    folder: str
    nbytes: int | None
    writable: bool
    ours: bool = True

    @property
    def problem(self) -> str:
        """What is wrong with it, or nothing."""
        if not self.ours:
            return "may be written by others, and is not used"
        return "" if self.writable else "can't be written"


@dataclass(frozen=True)
class Cards:
    """The cards of this machine as one asker tells them; `why` there are none."""

    asked: str
    count: int
    name: str
    nbytes: int
    why: str = ""


@dataclass(frozen=True)
class Health:
    """All of it; `reached` is None where no request may be sent."""

    version: str
    python: str
    system: str
    packages: tuple[Package, ...]
    caches: tuple[Cache, ...]
    cards: tuple[Cards, ...]
    reached: Reached | None
    has_token: bool

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong, a sentence each; none where all is well."""
        found = [f"{one.name} {one.problem}" for one in self.packages if one.problem]
        found += [f"{one.folder} {one.problem}" for one in self.caches if one.problem]
        if self.reached is not None and self.reached.problem:
            found.append(self.reached.problem)
        return tuple(found)


def examine(offline: bool = False, timeout: float = 5.0) -> Health:
    """Look at everything; one request is sent, unless they are forbidden."""
    may_ask = not (offline or settings.is_offline())
    return Health(
        VERSION,
        platform.python_version(),
        f"{platform.system()} {platform.machine()}",
        tuple(_packages()),
        tuple(_caches()),
        tuple(_cards()),
        reach(timeout) if may_ask else None,
        has_token(),
    )


def _packages() -> Iterator[Package]:
    """What our own metadata require of this Python, then what extras want."""
    try:
        required = metadata.requires("ckptscan") or []
    except metadata.PackageNotFoundError:  # run from a folder, not installed
        required = []
    python = tuple(map(int, platform.python_version_tuple()[:2]))
    found = []
    for line in required:
        match = _REQUIRED.match(line)
        when = (match["when"] if match else "") or ""
        extra = _EXTRA.search(when)
        if match is None or (extra and extra[1] in _FOR_DEVELOPERS) or not _holds(when, python):
            continue
        name = match["name"]
        found.append(Package(name, match["least"] or "", _version(name), extra[1] if extra else ""))
    yield from sorted(found, key=lambda one: (one.extra, one.name))


def _holds(when: str, python: tuple[int, ...]) -> bool:
    """Whether a requirement speaks of this Python."""
    named = _PYTHON.search(when)
    if named is None:
        return True
    bound = (int(named[2]), int(named[3]))
    return python < bound if named[1] == "<" else python >= bound


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _numbers(version: str) -> list[int]:
    """`1.26.4rc1` -> [1, 26, 4], to compare."""
    return [int(part) for part in re.findall(r"\d+", version.partition("+")[0])[:4]]


def _caches() -> Iterator[Cache]:
    """Ours, and that of huggingface_hub, of which nothing is counted: it may hold terabytes."""
    ours, theirs = cache.folder(), settings.cache_folder()
    held = cache.usage().nbytes
    yield Cache("ckptscan", ours, held, cache.is_writable(ours), cache.is_ours(ours))
    yield Cache("the Hub", theirs, None, cache.is_writable(theirs))


def _cards() -> Iterator[Cards]:
    """What the driver tells, and torch where it is installed."""
    from ckptscan.hardware.local import local_devices

    askers = {"driver": False, "torch": True}
    for asked, with_torch in askers.items():
        if with_torch and find_spec("torch") is None:
            continue
        try:
            found = local_devices(with_torch)
        except CkptscanError as error:
            yield Cards(asked, 0, "", 0, error.message)
        else:
            yield Cards(asked, found.count or 1, found.card.name, found.card.total_bytes)

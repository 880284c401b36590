"""A place that lists nothing: the files that an index names, and what may stand beside them."""

from __future__ import annotations

from ckptscan.config import CONFIG_NAMES, MAX_CONFIG
from ckptscan.errors import SourceNotFound, SourceRefused, SourceUnreadable
from ckptscan.index import MAX_INDEX, read_index
from ckptscan.paths import is_inside
from ckptscan.sources.access import Deadline, Watch
from ckptscan.sources.base import FileEntry, Origin
from ckptscan.sources.crew import alone, together
from ckptscan.sources.ranged import UNKNOWN, Place, RangedSource

_LARGE = 10**13  # bytes; for the digits of offsets in a file whose size is not known yet


def open_unlisted(origin: Origin, place: Place, deadline: Deadline, watch: Watch) -> RangedSource:
    """The source of an index that the origin names, its shards and configs asked for by name.

    Sizes of shards are what the answers to the first ranges tell; a shard that is not there is
    missing. Raises SourceError.
    """
    raw = alone(lambda: place.whole(origin.target, UNKNOWN, MAX_INDEX), deadline)
    index = read_index(raw)
    if index.problem:
        raise SourceUnreadable(f"{origin.spec}: {index.problem}", "name the weight files")
    held = {origin.target: raw}
    found = together(lambda name: if_there(place, name, MAX_CONFIG), CONFIG_NAMES, deadline)
    held |= {name: data for name, data in found if data is not None}
    shards = [path for path in index.shards if is_inside(path)]
    entries = [FileEntry(path, len(data)) for path, data in held.items()]
    entries += [FileEntry(path, UNKNOWN) for path in shards]
    promised = {path: index.expected_head(path, _LARGE) or 0 for path in shards}
    return RangedSource(origin, entries, place, deadline, watch, held=held, promised=promised)


def if_there(place: Place, name: str, most: int) -> bytes | None:
    """A whole file, None where there is none; many servers refuse what they don't have."""
    try:
        return place.whole(name, UNKNOWN, most)
    except (SourceNotFound, SourceRefused):
        return None

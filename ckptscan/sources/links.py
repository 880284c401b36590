"""Files that lie behind addresses: a Place whose every file has a URL."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Lock

from ckptscan.errors import SourceError, SourceUnreadable
from ckptscan.header import LENGTH, wanted
from ckptscan.sources.answers import ENDLESS, Again, Piece, Refused, Wanted
from ckptscan.sources.ranged import UNKNOWN, Beginning
from ckptscan.sources.web import Moved, Web

MAX_READS = 64  # answers that one range may come in


class Linked:
    """Files behind addresses; `address` gives that of a path, `explain` says what a refusal means.

    Where redirects lead is kept, as signed addresses are good for a while: what is asked for next
    of the same file costs one request, not two. When they are no longer, they are asked for again.
    """

    def __init__(
        self,
        web: Web,
        address: Callable[[str], str],
        explain: Callable[[str, Refused], SourceError],
    ) -> None:
        self._web = web
        self._address = address
        self._explain = explain
        self._found: dict[str, str] = {}
        self._asked: dict[str, Event] = {}  # set once the first answer for a path is there
        self._lock = Lock()

    def look(self, path: str, size: int) -> Beginning:
        """Where a file lies; a server that does not redirect gives its first bytes instead."""
        ask = Wanted(0, LENGTH, size=_known(size), enough=wanted)
        if size == 0:
            return Beginning(b"", 0)
        try:
            found = self._web.look(self._address(path), ask)
        except Refused as refused:
            raise self._explain(path, refused) from refused
        except SourceError as error:
            raise _about(path, error) from error
        if isinstance(found, Moved):
            self._found[path] = found.url
            return Beginning(b"", size)
        return Beginning(found.data, _size(found))

    def begin(self, path: str, size: int, guess: int) -> Beginning:
        """A weight file up to its header's end: one request where the guess holds, else two."""
        guess = max(LENGTH, guess)
        if size != UNKNOWN:
            guess = min(guess, size)
        if size == 0:
            return Beginning(b"", 0)
        piece = self._get(path, Wanted(0, guess, size=_known(size), enough=wanted))
        data, size = piece.data, _size(piece)
        for _ in range(MAX_READS):
            due = wanted(data[:LENGTH], ENDLESS if size == UNKNOWN else size)
            if len(data) >= due or len(data) == size:
                return Beginning(data, size)
            piece = self._get(path, Wanted(len(data), due - len(data), size=_known(size)))
            if not piece.data:
                break
            data += piece.data
        raise SourceUnreadable(
            f"{path}: its header has {due:,} bytes, {len(data):,} come", "try again later"
        )

    def whole(self, path: str, size: int, most: int) -> bytes:
        """All of a small file."""
        if size > most:
            raise SourceUnreadable(f"{path}: {size:,} bytes are more than {most:,}")
        most = most if size == UNKNOWN else size
        return self._get(path, Wanted(most=most, size=_known(size))).data

    def read(self, path: str, start: int, length: int, size: int) -> bytes:
        """A range of a file."""
        return self._get(path, Wanted(start, length, size=_known(size))).data

    def _get(self, path: str, ask: Wanted) -> Piece:
        """A piece of a file; of several asked for at once the first finds where it lies."""
        with self._lock:
            is_first = path not in self._asked
            answered = self._asked.setdefault(path, Event())
        if not is_first:
            answered.wait()
        try:
            return self._got(path, ask)
        finally:
            answered.set()

    def _got(self, path: str, ask: Wanted) -> Piece:
        try:
            near = self._found.get(path)
            if near:
                try:
                    return self._web.try_once(near, ask)
                except (Again, Refused):  # signed addresses run out, and servers behind them fail
                    self._found.pop(path, None)
            piece = self._web.get(self._address(path), ask)
        except Refused as refused:
            raise self._explain(path, refused) from refused
        except SourceError as error:
            raise _about(path, error) from error
        if piece.url != self._address(path):
            self._found[path] = piece.url
        return piece


class Unpinned(Linked):
    """The same, where another file may come to lie behind an address.

    All answers for a file must carry one ETag, as far as they carry a strong one.
    """

    def __init__(
        self,
        web: Web,
        address: Callable[[str], str],
        explain: Callable[[str, Refused], SourceError],
    ) -> None:
        super().__init__(web, address, explain)
        self._tags: dict[str, str] = {}

    def _got(self, path: str, ask: Wanted) -> Piece:
        piece = super()._got(path, ask)
        tag = piece.headers.get("etag", "")
        if tag.startswith('"') and self._tags.setdefault(path, tag) != tag:
            raise SourceUnreadable(
                f"{path}: it changed while it was read", "read it again when nobody writes it"
            )
        return piece


def _about(path: str, error: SourceError) -> SourceError:
    """The error, with the file that it is about."""
    return type(error)(f"{path}: {error.message}", error.hint)


def _known(size: int) -> int | None:
    return None if size == UNKNOWN else size


def _size(piece: Piece) -> int:
    return UNKNOWN if piece.size is None else piece.size

"""Reading tensors: all bytes once, in bounded memory, in threads, to be taken up again."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from threading import Event, Lock, local
from typing import TYPE_CHECKING, Any, Protocol

from ckptscan.content.alike import candidates, confirmed, unknown
from ckptscan.content.blocks import Block, Plan, faults_of, sampled_bytes, spans
from ckptscan.content.hashing import Hashing
from ckptscan.content.keeping import SECONDS, Memory, memory_of, stamps
from ckptscan.content.measuring import Room, measure
from ckptscan.content.peeking import trailing
from ckptscan.content.streams import Stream, sizes_of
from ckptscan.content.tables import table_rows
from ckptscan.content.tally import Tally
from ckptscan.content.values import Content, RowUse, Statistics, Wish
from ckptscan.errors import Interrupted, SourceError, SourceUnreadable, UsageError
from ckptscan.sources import Source
from ckptscan.structure import Structure

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SHRUNK = "its file ended while it was read"


class Progress(Protocol):
    """Who is told how far a reading is."""

    def begin(self, total: int) -> None:
        """So many more bytes will be read."""

    def advance(self, nbytes: int) -> None:
        """So many more bytes have been read."""

    def end(self) -> None:
        """The reading is over."""


class Nobody:
    """Nobody is told."""

    def begin(self, total: int) -> None:
        """Nothing."""

    def advance(self, nbytes: int) -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""


def read_content(
    source: Source,
    structure: Structure,
    wish: Wish | None = None,
    progress: Progress | None = None,
    resume: bool = True,
) -> Content:
    """What the tensors of a checkpoint hold, read from the source that it came from.

    Reads in bounded memory, whatever the tensors' size, and never past what a header and the size
    of its file agree on. With `resume` an interrupted reading is kept in the cache, and goes on
    where it ended. Raises SourceError, Interrupted at Ctrl-C, UsageError for a header pack.
    """
    checkpoint = structure.checkpoint
    if checkpoint.origin.packed:
        raise UsageError(
            f"{checkpoint.origin.title}: a header pack holds no tensors",
            "read the checkpoint that it was made from",
        )
    progress = progress or Nobody()
    reading = Reading(source, structure, wish or Wish(), progress, resume)
    try:
        return reading.content()
    finally:
        progress.end()


class Reading:
    """One reading of the tensors of a checkpoint; its blocks come in from several threads."""

    def __init__(
        self, source: Source, structure: Structure, wish: Wish, progress: Progress, resume: bool
    ) -> None:
        self._source = source
        self._checkpoint = structure.checkpoint
        self._table = structure.checkpoint.table
        self._wish = wish
        self._progress = progress
        self._sizes = sizes_of(source)
        self._stamps = stamps(source, self._checkpoint)
        self._memory = self._find_memory() if resume else None
        self._table_rows = {} if wish.sample else table_rows(structure)
        self._lock = Lock()
        self._own = local()
        self._statistics: dict[int, Statistics] = {}
        self._uses: dict[int, RowUse] = {}
        self._unread: dict[int, str] = {}
        self._tallies: dict[int, Tally] = {}
        self._hashes: dict[str, str] = {}
        self._digests: dict[int, str] = {}
        self._read = self._resumed = self._total = 0

    def content(self) -> Content:
        """All that was wished for. Raises SourceError and Interrupted."""
        plans = self._plans()
        self._restore()
        self._resumed = self._known_bytes(plans)
        self._total = sum(map(self._size_of, plans)) - self._resumed
        self._progress.begin(self._total)
        alike: tuple[tuple[int, ...], ...] = ()
        try:
            self._run(plans)
            alike = self._alike()
        except KeyboardInterrupt:
            raise Interrupted(self._left_off()) from None
        except SourceError:
            self._save()
            raise
        self._check_unchanged()
        if self._memory is not None:
            self._memory.drop()
        wished = {row for plan in plans for row in plan.rows}
        return Content(
            {row: self._statistics[row] for row in sorted(wished & self._statistics.keys())},
            {row: use for row, use in sorted(self._uses.items()) if row in wished},
            alike,
            dict(self._hashes),
            trailing(self._source, self._checkpoint),
            dict(sorted(self._unread.items())),
            str(self._wish.sample) if self._wish.sample else None,
            self._wish.match is not None,
            self._read,
            self._resumed,
        )

    def _plans(self) -> list[Plan]:
        """What is read of each file."""
        match, plans = self._wish.match, []
        for shard in self._table.shards:
            faults = faults_of(self._table, shard) if self._wish.tensors else {}
            rows = [
                row
                for row in (shard.rows if self._wish.tensors else ())
                if match is None or match(self._table.names[row])
            ]
            self._unread.update((row, faults[row]) for row in rows if row in faults)
            sound = sorted((r for r in rows if r not in faults), key=self._table.starts.__getitem__)
            hashed = self._wish.hashes and shard.digest is not None
            plans.append(Plan(self._table, shard, sound, self._is_done, self._wish.sample, hashed))
        return plans

    def _is_done(self, row: int, start: int) -> bool:
        return row in self._statistics or start in self._tallies.get(row, ())

    def _bytes_of(self, row: int) -> int:
        return sampled_bytes(self._table[row], self._sizes, self._wish.sample)

    def _size_of(self, plan: Plan) -> int:
        if plan.hashed:
            return plan.shard.file_size
        return sum(map(self._bytes_of, plan.rows))

    def _known_bytes(self, plans: list[Plan]) -> int:
        """Bytes that an earlier reading has read, and this one need not."""
        known = 0
        for plan in plans:
            if plan.hashed:
                is_known = plan.shard.path in self._hashes
                known += plan.shard.file_size if is_known else 0
                continue
            for row in plan.rows:
                if row in self._statistics:
                    known += self._bytes_of(row)
                elif row in self._tallies:
                    known += sum(n for at, n in self._spans(row) if at in self._tallies[row])
        return known

    def _spans(self, row: int) -> Iterator[tuple[int, int]]:
        return spans(self._table[row], self._sizes, self._wish.sample)

    def _blocks(self, plans: list[Plan]) -> Iterator[Block]:
        for plan in plans:
            if plan.shard.path in self._hashes:
                plan = plan._replace(hashed=False)
            yield from plan.blocks(self._sizes)

    def _run(self, plans: list[Plan]) -> None:
        """Read all blocks; keep now and then how far it came."""
        stream = Stream(self._source, self._blocks(plans), self._take, self._sizes)
        self._hashing = Hashing(stream.is_over)
        self._follow(stream)
        for plan in plans:
            if plan.hashed and plan.shard.path not in self._hashes:
                self._note_hash(plan)

    def _note_hash(self, plan: Plan) -> None:
        digest = self._hashing.digest(plan.shard.path, plan.shard.file_size)
        if digest is not None:
            self._hashes[plan.shard.path] = digest

    def _follow(self, stream: Stream) -> None:
        kept = time.monotonic()
        blocks = stream.run()
        try:
            for done in blocks:
                self._read += done.nbytes
                self._progress.advance(done.nbytes)
                if time.monotonic() - kept > SECONDS:
                    self._save()
                    kept = time.monotonic()
        finally:
            blocks.close()  # type: ignore[attr-defined]

    def _take(self, block: Block, raw: NDArray[np.uint8]) -> None:
        """What a block holds, found by the thread that has read it."""
        if block.turn is not None:
            self._hashing.feed(block.path, block.turn, block.length, raw)
        if not hasattr(self._own, "room"):
            self._own.room = Room()
        for piece in block.pieces:
            held = raw[piece.at : piece.at + piece.length]
            with self._lock:
                tally = self._tally(piece.row)
            if len(held) < piece.length:
                with self._lock:
                    self._unread[piece.row] = _SHRUNK
                continue
            dtype = self._table[piece.row].dtype.name
            page = self._sizes.page
            partial, sums = measure(dtype, held, piece.start // page, self._own.room, page)
            looked = tally.rows.look(piece.start, held) if tally.rows is not None else None
            with self._lock:
                tally.add(piece.start, partial, sums, looked)
                self._settle(piece.row, tally)

    def _tally(self, row: int) -> Tally:
        if row not in self._tallies:
            tensor = self._table[row]
            starts = (start for start, _ in self._spans(row))
            rows = self._table_rows[row]() if row in self._table_rows else None
            numel, page = tensor.numel, self._sizes.page
            self._tallies[row] = Tally(numel, tensor.nbytes, starts, rows, page)
        return self._tallies[row]

    def _settle(self, row: int, tally: Tally) -> None:
        """Sum up a tensor whose last piece has come in."""
        if not tally.is_done:
            return
        self._statistics[row] = tally.statistics()
        use = tally.use()
        if use is not None:
            self._uses[row] = use
        del self._tallies[row]

    def _alike(self) -> tuple[tuple[int, ...], ...]:
        """Rows that hold the same bytes; those that seem to are read again to prove it."""
        groups = candidates(self._table, self._statistics)
        if self._wish.sample is not None:
            return groups
        known = self._digests
        blocks = confirmed(self._table, groups, known, self._sizes)
        self._progress.begin(sum(self._table[row].nbytes for row in unknown(groups, known)))
        hashing = Hashing(Event())

        def take(block: Block, raw: NDArray[np.uint8]) -> None:
            piece = block.pieces[0]
            hashing.feed(piece.row, piece.start, piece.length, raw)
            digest = hashing.digest(piece.row, self._table[piece.row].nbytes)
            if digest is not None:
                with self._lock:
                    known[piece.row] = digest

        stream = Stream(self._source, blocks, take, self._sizes)
        hashing.is_over = stream.is_over
        self._follow(stream)
        return tuple(
            same
            for group in groups
            for same in _by_digest({row: known[row] for row in group if row in known})
        )

    def _left_off(self) -> str:
        """Keep how far it came; says so in words."""
        done = self._read + self._resumed
        text = f"interrupted after {done:,} of {self._total + self._resumed:,} bytes"
        if self._save():
            return f"{text}; the same command goes on from there"
        return f"{text}; nothing is kept of it"

    def _check_unchanged(self) -> None:
        for path, stamp in stamps(self._source, self._checkpoint).items():
            if stamp != self._stamps[path]:
                raise SourceUnreadable(
                    f"{path}: it was written while it was read", "audit it again when it is done"
                )

    def _find_memory(self) -> Memory | None:
        block = self._sizes.block
        return memory_of(self._checkpoint, self._stamps, self._wish.sample, block)

    def _save(self) -> bool:
        """Keep how far it came; whether that was possible."""
        if self._memory is None:
            return False
        with self._lock:
            state = {
                "statistics": {row: list(one) for row, one in self._statistics.items()},
                "uses": {row: list(one) for row, one in self._uses.items()},
                "tallies": {row: tally.state() for row, tally in self._tallies.items()},
                "hashes": self._hashes,
                "digests": self._digests,
            }
            return self._memory.save(state)

    def _restore(self) -> None:
        """Go on from what was kept, where it can be understood."""
        state = self._memory.load() if self._memory is not None else None
        if state is None:
            return
        try:
            self._take_state(state)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            self._statistics, self._uses, self._tallies = {}, {}, {}
            self._hashes, self._digests = {}, {}

    def _take_state(self, state: Mapping[str, Any]) -> None:
        for row, values in state["statistics"].items():
            one = Statistics(*values)
            self._statistics[int(row)] = one._replace(hole=(one.hole[0], one.hole[1]))
        self._uses = {int(row): RowUse(*values) for row, values in state["uses"].items()}
        self._hashes = {str(path): str(one) for path, one in state["hashes"].items()}
        self._digests = {int(row): str(one) for row, one in state["digests"].items()}
        for row, held in state["tallies"].items():
            self._tally(int(row)).restore(held)


def _by_digest(digests: Mapping[int, str]) -> list[tuple[int, ...]]:
    groups: dict[str, list[int]] = {}
    for row, digest in digests.items():
        groups.setdefault(digest, []).append(row)
    return [tuple(rows) for rows in groups.values() if len(rows) > 1]

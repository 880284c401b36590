"""`ckptscan diff`: what changed between two checkpoints, without downloading them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import click

from ckptscan.commands import show_error
from ckptscan.commands.completing import complete_file
from ckptscan.commands.contents import Contents, content_options
from ckptscan.commands.files import Output, output_options
from ckptscan.commands.help import READ, SHOW, Choice, Command, under
from ckptscan.commands.params import Match, format_option, set_options, source_options
from ckptscan.commands.telling import note, tell
from ckptscan.errors import CkptscanError
from ckptscan.report.diff import FORMATS, SECTIONS, Look

if TYPE_CHECKING:
    from ckptscan.checkpoint import Checkpoint
    from ckptscan.diff import Diff
    from ckptscan.sources import Access, FileEntry, Source
    from ckptscan.structure import Structure

_Read = tuple["Source", "Structure"]
R = TypeVar("R")
DIFFERS = 1  # or a file of a side is refused by the reference library, or missing
Test = Callable[[str], bool]


@click.command("diff", cls=Command)
@click.argument("a", shell_complete=complete_file)
@click.argument("b", shell_complete=complete_file)
@under(
    SHOW,
    click.option("--only", type=Choice(SECTIONS), help="Only this part.  [default: all]"),
    click.option("--stat", is_flag=True, help="Only the figures, no list of changes."),
    click.option(
        "--include", "includes", type=Match(), multiple=True, help="Only tensors of such a name."
    ),
    click.option(
        "--exclude", "excludes", type=Match(), multiple=True, help="No tensor of such a name."
    ),
    click.option("--exit-code", "exits", is_flag=True, help="Exit with 1 if what is told differs."),
)
@under(READ, set_options, content_options)
@format_option(FORMATS)
@output_options("stdout")
@source_options
@click.pass_context
def command(
    ctx: click.Context,
    a: str,
    b: str,
    only: str | None,
    stat: bool,
    includes: tuple[Test, ...],
    excludes: tuple[Test, ...],
    exits: bool,
    contents: Contents,
    format_name: str,
    output: Output,
    set_name: str | None,
    all_sets: bool,
    access: Access,
) -> None:
    """Say what changed from checkpoint A to checkpoint B.

    A and B are what inspect takes; a repository may name its revision: org/name@v1.1. Tensors are
    matched by name, by rules of renaming, by role and by shape, each match with its evidence; told
    are patterns and ranges. Equal files prove content equal; of the rest a few blocks of each
    tensor are read, --max-bytes at most in all. --full reads every byte, --no-sample none.

    \b
    Examples:
      ckptscan diff Llama-3.1-8B/ Llama-3.1-8B-GPTQ/
      ckptscan diff Qwen/Qwen2-7B@main Qwen/Qwen2-7B@refs/pr/3 --stat
      ckptscan diff before/ after/ --include '*.mlp.*' --exit-code
      ckptscan diff base/ fine-tuned/ --full
      ckptscan diff before/ after/ --format markdown
    """
    from ckptscan.report.diff import report

    if only in ("structure", "config"):
        contents = contents.unread(only)
    try:
        ours, theirs = _both(a, b, set_name, all_sets, access)
    except _Unread as error:
        show_error(error.cause, error.spec)
        ctx.exit(error.cause.exit_code)
    diff = contents.compare(ours, theirs, _wanted(includes, excludes))
    output.write(report(diff, format_name, Look(only, stat, output.columns())))
    for name, side in (("A", one := ours[1]), ("B", two := theirs[1])):
        _warn(name, side)
    if (includes or excludes) and not diff.changes:
        note("hint: no name matches; a glob must match the whole of it")
    is_sound = one.checkpoint.is_sound and two.checkpoint.is_sound
    part = only or ("tensors" if includes or excludes else None)
    ctx.exit(DIFFERS if not is_sound or (exits and _differs(diff, part)) else 0)


class _Unread(Exception):
    """One side could not be looked at."""

    def __init__(self, spec: str, cause: CkptscanError) -> None:
        super().__init__(spec)
        self.spec, self.cause = spec, cause


def _both(
    a: str, b: str, set_name: str | None, all_sets: bool, access: Access
) -> tuple[_Read, _Read]:
    """Both sources and structures, read at once where they lie elsewhere; raises _Unread.

    What both hold is read of A alone.
    """
    from ckptscan.checkpoint import load
    from ckptscan.checkpoint.common import Following, Leading
    from ckptscan.diff import BESIDE
    from ckptscan.sources import open_source
    from ckptscan.structure import describe, describe_like

    def opened(name: str, spec: str) -> tuple[Source, Sequence[FileEntry]]:
        with _unread(name, spec):
            source = open_source(spec, access)
            return source, source.files()

    def led() -> Checkpoint:
        try:
            with _unread("A", a):
                return load(one, set_name, all_sets, BESIDE, common=leading)
        finally:
            leading.over()

    def followed() -> Checkpoint:
        with _unread("B", b):
            return load(two, set_name, all_sets, BESIDE, common=Following(leading))

    together = _at_once if any(map(_is_elsewhere, (a, b))) else _in_turn
    (one, held), (two, _) = together(lambda: opened("A", a), lambda: opened("B", b))
    leading = Leading(held)
    ours, theirs = together(led, followed)
    structure = describe(ours)
    return (one, structure), (two, describe_like(theirs, structure))


def _in_turn(first: Callable[[], R], second: Callable[[], R]) -> tuple[R, R]:
    return first(), second()


def _at_once(first: Callable[[], R], second: Callable[[], R]) -> tuple[R, R]:
    """What both give, each in a thread; raises what the first raised, then what the second did."""
    import threading

    done: list[R | BaseException] = []

    def do_second() -> None:
        try:
            done.append(second())
        except BaseException as error:  # told where it can be seen
            done.append(error)

    other = threading.Thread(target=do_second, daemon=True)  # dies with the process, on Ctrl-C too
    other.start()
    one = first()
    other.join()
    two = done[0]
    if isinstance(two, BaseException):
        raise two
    return one, two


@contextmanager
def _unread(name: str, spec: str) -> Iterator[None]:
    """A failure to read in it is one of this side."""
    try:
        yield
    except CkptscanError as error:
        raise _Unread(f"{name} ({spec})", error) from error


def _is_elsewhere(spec: str) -> bool:
    """Whether reading may wait for a net: what is no path on this disk."""
    import os

    return not os.path.lexists(spec)


def _wanted(includes: tuple[Test, ...], excludes: tuple[Test, ...]) -> Test | None:
    """A test of names: included by one pattern if there are any, excluded by none."""
    if not includes and not excludes:
        return None

    def is_wanted(name: str) -> bool:
        is_in = not includes or any(test(name) for test in includes)
        return is_in and not any(test(name) for test in excludes)

    return is_wanted


def _warn(name: str, side: Structure) -> None:
    """On stderr, what is wrong with the files of a side."""
    checkpoint = side.checkpoint
    errors = [one for one in checkpoint.faults if one.fault.severity == "error"]
    for one in errors[:3]:
        tell(f"warning: {name}: {one.file}: {one.fault.message}")
    if len(errors) > 3:
        tell(f"warning: {name}: {len(errors) - 3:,} more; see ckptscan audit")


def _differs(diff: Diff, part: str | None) -> bool:
    """Whether the part that was asked for differs; chosen tensors are one too."""
    if part == "config":
        return bool(diff.config) or diff.has_other_files
    if part == "content":
        return diff.has_other_content
    return diff.has_changes if part else diff.differs

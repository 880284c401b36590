"""What a project says of its audits: settings, a baseline, a lock; options as one value."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

import click

from ckptscan.commands.telling import note
from ckptscan.errors import UsageError

if TYPE_CHECKING:
    from ckptscan.checkpoint import Checkpoint
    from ckptscan.checks import Audit, Given, Selection
    from ckptscan.checks.baseline import Baseline
    from ckptscan.lock import Lock
    from ckptscan.settings import Settings
    from ckptscan.sources import Source

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_FAIL_ON = "error"
Witness = Callable[[str, bytes], None]


class Asked(NamedTuple):
    """The options that name files of the project."""

    config: str | None = None
    no_config: bool = False
    baseline: str | None = None
    write_baseline: str | None = None
    lock: str | None = None


def settings_options(command: F) -> F:
    """--config and what it may hold; the command takes them as one Asked."""

    @wraps(command)
    def with_asked(
        *arguments: Any,
        config: str | None,
        no_config: bool,
        baseline: str | None,
        write_baseline: str | None,
        lock: str | None,
        **options: Any,
    ) -> Any:
        asked = Asked(config, no_config, baseline, write_baseline, lock)
        return command(*arguments, asked=asked, **options)

    for option in (
        click.option("--lock", metavar="FILE", help="Tell each drift from this lock."),
        click.option(
            "--write-baseline",
            metavar="FILE",
            help="Write what is found to FILE; nothing fails.",
        ),
        click.option("--baseline", metavar="FILE", help="Let only fail what is not in FILE."),
        click.option("--no-config", is_flag=True, help="Read no settings."),
        click.option(
            "--config",
            metavar="FILE",
            help="Settings.  [default: ckptscan.toml or setup.cfg of the project]",
        ),
    ):
        with_asked = option(with_asked)
    return cast("F", with_asked)


@dataclass(frozen=True)
class Standing:
    """What audits of one run are held against; `specs` are their sources."""

    specs: tuple[str, ...]
    settings: Settings
    selection: Selection
    fail_on: str
    asked: Asked
    baseline: Baseline | None
    lock: Lock | None

    def witness(self) -> tuple[dict[str, str], Witness | None]:
        """What is to be told each header, and where it notes its sha256; None without a lock."""
        if self.lock is None:
            return {}, None
        from ckptscan.lock import Headers

        headers = Headers()
        return headers.found, headers.note

    def given(
        self, spec: str, source: Source, checkpoint: Checkpoint, headers: dict[str, str]
    ) -> Given:
        """What the checks of one source are held against."""
        from ckptscan.checks import Given
        from ckptscan.checks.globs import source_matches

        names = (spec, checkpoint.origin.title)
        rules = tuple(
            rule
            for rule in self.settings.policy
            if not rule.path or any(source_matches(name, rule.path) for name in names)
        )
        lock = None
        if self.lock is not None:
            from ckptscan.lock import Compared, lock_of

            lock = Compared(self.lock, lock_of(source, checkpoint, headers))
        return Given(policy=rules or None, lock=lock)

    def judged(self, audits: Sequence[Audit]) -> list[Audit]:
        """The audits without what is allowed and known; stale permissions are told on stderr."""
        if not self.settings.allow and self.baseline is None:
            return list(audits)
        from ckptscan.checks.allowing import Allow, apply_allows, stale
        from ckptscan.checks.baseline import apply_baseline

        done, used, gone = [], set[Allow](), 0
        for audit in audits:
            audit, spoken = apply_allows(audit, self.settings.allow)
            used |= spoken
            if self.baseline is not None:
                audit, count = apply_baseline(audit, self.baseline)
                gone += count
            done.append(audit)
        for one in stale(self.settings.allow, used, audits):
            _note(f"{self.settings.path}: allow {one}: nothing is found that it allows any more")
        if gone:
            some = f"{gone:,} finding{'s' * (gone != 1)}"
            _note(f"the baseline has {some} that {'are' if gone > 1 else 'is'} found no more")
        return done

    def settled(self, audits: Sequence[Audit], is_whole: bool) -> list[Audit]:
        """The audits, and the new baseline written where one is asked for.

        Nothing is written where something could not be looked at: the next run would fail.
        """
        judged = self.judged(audits)
        path = self.asked.write_baseline
        if path is None:
            return judged
        from ckptscan.checks.baseline import written
        from ckptscan.sources.own import folders_of, write_own

        if not is_whole or any(audit.crashed for audit in judged):
            _note(f"{path}: not written, as not everything could be looked at")
            return judged
        write_own(path, written(judged), folders_of(self.specs))
        return [
            replace(audit, findings=(), known=audit.findings, has_baseline=True) for audit in judged
        ]


def settle(
    asked: Asked,
    specs: Sequence[str],
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    fail_on: str | None,
) -> Standing:
    """Read what the options and the project name; raises UsageError.

    `select` and `fail_on` go before those of the settings, `ignore` is added to theirs.
    """
    from ckptscan.checks import Selection
    from ckptscan.settings import Settings
    from ckptscan.sources.own import folders_of, refuse_inside

    if asked.baseline and asked.write_baseline:
        raise UsageError("--baseline and --write-baseline", "give one of the two")
    if asked.lock and len(specs) > 1:
        raise UsageError("--lock is that of one SOURCE", "audit the sources one by one")
    inside = folders_of(specs)
    if asked.write_baseline:
        refuse_inside(asked.write_baseline, inside)
    settings = _settings(asked, specs, inside) or Settings()
    standing = Standing(
        tuple(specs),
        settings,
        Selection(select or settings.select, (*settings.ignore, *ignore)),
        fail_on or settings.fail_on or DEFAULT_FAIL_ON,
        asked,
        _baseline(asked, settings, inside),
        _lock(asked, inside),
    )
    _tell_unselected(standing)
    return standing


def _settings(asked: Asked, specs: Sequence[str], inside: Sequence[str]) -> Settings | None:
    from ckptscan.sources.own import MAX_SETTINGS, read_own

    if asked.config is not None and asked.no_config:
        raise UsageError("--config and --no-config", "give one of the two")
    if asked.no_config:
        return None
    if asked.config is None:
        return _found(specs)
    from ckptscan.settings.reading import read_settings

    return read_settings(read_own(asked.config, inside, MAX_SETTINGS), asked.config)


def _found(specs: Sequence[str]) -> Settings | None:
    """The settings of the nearest folder of the project that has some."""
    from ckptscan.sources.own import MAX_SETTINGS, folders_around, is_cached, lies_in, read_own

    around = folders_around(specs)
    for path in _candidates():
        if lies_in(path, around) or is_cached(path):
            _note(f"{_shown(path)}: lies inside SOURCE and is not read; use --config")
            continue
        data = read_own(path, (), MAX_SETTINGS)
        from ckptscan.settings.reading import CONFIG, has_section, read_settings

        if os.path.basename(path) == CONFIG or has_section(data):
            return read_settings(data, _shown(path))
    return None


def _candidates() -> Iterator[str]:
    """Files that may hold settings, the nearest first; ckptscan.toml goes before setup.cfg."""
    from ckptscan.sources.own import project_folders

    for folder in project_folders():
        for name in ("ckptscan.toml", "setup.cfg"):
            path = os.path.join(folder, name)
            if os.path.lexists(path):
                yield path


def _shown(path: str) -> str:
    """A path from where the user stands, no absolute one."""
    return os.path.relpath(path)


def _baseline(asked: Asked, settings: Settings, inside: Sequence[str]) -> Baseline | None:
    from ckptscan.sources.own import read_own

    if asked.write_baseline:
        return None
    path = asked.baseline
    if path is None and settings.baseline is not None:
        path = os.path.join(os.path.dirname(settings.path), settings.baseline)
    if path is None:
        return None
    from ckptscan.checks.baseline import MAX_BASELINE, read_baseline

    return read_baseline(read_own(path, inside, MAX_BASELINE), path)


def _lock(asked: Asked, inside: Sequence[str]) -> Lock | None:
    from ckptscan.sources.own import read_own

    if asked.lock is None:
        return None
    from ckptscan.lock import MAX_LOCK, read_lock

    return read_lock(read_own(asked.lock, inside, MAX_LOCK), asked.lock)


def _tell_unselected(standing: Standing) -> None:
    """Tell of a policy or lock that no selected check looks at."""
    from ckptscan.checks import codes_of

    select, ignore = map(codes_of, standing.selection)
    for family, what in (("P", standing.settings.policy), ("L", standing.lock)):
        codes = codes_of([family])
        if what and not (codes & select if select else codes) - ignore:
            name = "policy" if family == "P" else "lock"
            _note(f"the {name} is not looked at: no check of {family} is selected")


def _note(text: str) -> None:
    note(f"note: {text}")

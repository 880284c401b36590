"""The bytes of a settings file -> Settings, or a usage error that names the key."""

from __future__ import annotations

import configparser
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from typing import Any, TypeVar

from ckptscan.checks import SEVERITIES, codes_of
from ckptscan.checks.allowing import Allow, allow_of, parse_allow
from ckptscan.checks.policy import Rule, parse_rule
from ckptscan.errors import UsageError
from ckptscan.settings.values import Settings

CONFIG = "ckptscan.toml"
SECTION = "ckptscan"
FAIL_ON = (*SEVERITIES, "never")
KEYS = ("select", "ignore", "fail-on", "baseline", "allow", "policy")
_ALLOW_KEYS = ("check", "reason", "path", "tensor")
_RULE_KEYS = ("rule", "severity", "reason", "path")
_HEAD = re.compile(rb"^\[ckptscan\]", re.MULTILINE)

T = TypeVar("T")


def has_section(data: bytes) -> bool:
    """Whether a setup.cfg has a section of ours."""
    return _HEAD.search(data) is not None


def read_settings(data: bytes, path: str) -> Settings:
    """The settings in a file, toml or cfg by the end of its name; raises UsageError."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{path}: not UTF-8 at byte {error.start:,}", "save it as UTF-8"
        ) from error
    document = _of_toml(text, path) if path.endswith(".toml") else _of_cfg(text, path)
    try:
        return _settings(document, path)
    except UsageError as error:
        raise UsageError(f"{path}: {error.message}", error.hint) from error


def _of_toml(text: str, path: str) -> Mapping[str, object]:
    # tomllib is of Python 3.11; tomli is the same for 3.10
    tomllib = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    try:
        document: dict[str, object] = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError names line and column
        raise UsageError(f"{path}: not TOML: {error or 'nested too deep'}", "mend it") from error
    return document


def _of_cfg(text: str, path: str) -> Mapping[str, object]:
    """The section as toml would have it: lists from lines, or words between commas."""
    parser = configparser.RawConfigParser(strict=False, default_section="")
    try:
        parser.read_string(text, path)
    except configparser.Error as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"{path}: {reason[:300]}", "mend it, or use ckptscan.toml") from error
    if not parser.has_section(SECTION):
        raise UsageError(f"{path}: has no section [{SECTION}]", "settings stand in one")
    said: dict[str, object] = dict(parser.items(SECTION))
    for key, value in said.items():
        if key in ("select", "ignore"):
            said[key] = [word for word in re.split(r"[,\s]+", str(value)) if word]
        elif key in ("allow", "policy"):
            said[key] = [line.strip() for line in str(value).split("\n") if line.strip()]
    return said


def _settings(document: Mapping[str, object], path: str) -> Settings:
    own = document.get(SECTION)
    if isinstance(own, dict) and len(document) == 1:  # as in setup.cfg
        document = own
    _known(document, KEYS, "settings")
    fail_on = _word(document, "fail-on")
    if fail_on is not None and fail_on not in FAIL_ON:
        raise UsageError(f"fail-on: {fail_on[:80]!r}", _nearest(fail_on, FAIL_ON))
    return Settings(
        path,
        _codes(document, "select"),
        _codes(document, "ignore"),
        fail_on,
        _word(document, "baseline"),
        tuple(_each(document, "allow", parse_allow, _allow)),
        tuple(_each(document, "policy", parse_rule, _rule)),
    )


def _known(document: Mapping[str, object], known: Iterable[str], where: str) -> None:
    for key in document:
        if key not in known:
            raise UsageError(f"{where} know no key {key[:80]!r}", _nearest(key, known))


def _nearest(word: str, known: Iterable[str]) -> str:
    import difflib

    words = list(known)
    close = difflib.get_close_matches(word, words, 1)
    return f"did you mean {close[0]}?" if close else f"there are: {', '.join(words)}"


def _word(document: Mapping[str, object], key: str) -> str | None:
    value = document.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"{key}: is no text", f'write {key} = "..."')
    return value.strip()


def _codes(document: Mapping[str, object], key: str) -> tuple[str, ...]:
    value = document.get(key, [])
    words = [value] if isinstance(value, str) else value
    if not isinstance(words, list) or not all(isinstance(one, str) for one in words):
        raise UsageError(f"{key}: is no list of codes", f'write {key} = ["H", "I002"]')
    try:
        codes_of(words)
    except UsageError as error:
        raise UsageError(f"{key}: {error.message}", error.hint) from error
    return tuple(words)


def _each(
    document: Mapping[str, object],
    key: str,
    of_line: Callable[[str], T],
    of_table: Callable[[Mapping[str, Any]], T],
) -> Iterator[T]:
    """What each line or table of a list says."""
    value = document.get(key, [])
    if not isinstance(value, list):
        raise UsageError(f"{key}: is no list", "write lines in quotes, or tables")
    for number, one in enumerate(value, 1):
        yield _one(one, f"{key} {number}", of_line, of_table)


def _one(
    value: object,
    name: str,
    of_line: Callable[[str], T],
    of_table: Callable[[Mapping[str, Any]], T],
) -> T:
    try:
        if isinstance(value, str):
            return of_line(value)
        if isinstance(value, dict) and all(isinstance(held, str) for held in value.values()):
            return of_table(value)
    except UsageError as error:
        raise UsageError(f"{name}: {error.message}", error.hint) from error
    raise UsageError(f"{name}: is no line and no table of text", "see the README's Audit")


def _allow(table: Mapping[str, str]) -> Allow:
    _known(table, _ALLOW_KEYS, "permissions")
    if not table.get("check"):
        raise UsageError("without a check", 'write check = "S001"')
    return allow_of(
        table["check"], table.get("reason", ""), table.get("path", ""), table.get("tensor", "")
    )


def _rule(table: Mapping[str, str]) -> Rule:
    _known(table, _RULE_KEYS, "rules")
    severity = table.get("severity", "")
    if severity and severity not in SEVERITIES:
        raise UsageError(f"severity: {severity[:80]!r}", _nearest(severity, SEVERITIES))
    return parse_rule(
        table.get("rule", ""), severity, table.get("reason", ""), table.get("path", "")
    )

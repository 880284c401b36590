"""Addresses of the Hub: what a path asks for, and the path of a file."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import quote, unquote

from tests.standin.content import RepoType

TYPES: dict[str, RepoType] = {"models": "model", "datasets": "dataset", "spaces": "space"}
ACTIONS = {"revision", "tree", "paths-info", "refs", "resolve", "xet-read-token"}


class Target(NamedTuple):
    """What a path on the hub origin asks for; `action` is empty where it is nothing known."""

    stage: str = "api"
    action: str = ""
    repo_type: RepoType = "model"
    repo_id: str = ""
    revision: str = "main"
    file: str = ""


def target_of(path: str) -> Target:
    """What a path asks for."""
    parts = path.strip("/").split("/")
    if parts[:2] == ["api", "resolve-cache"] and len(parts) > 4 and parts[2] in TYPES:
        return _rest("cache", "cache", TYPES[parts[2]], parts[3:])
    if parts[0] == "api" and len(parts) > 2 and parts[1] in TYPES:
        return _api(TYPES[parts[1]], parts[2:])
    if parts[0] in ("datasets", "spaces"):
        return _rest("resolve", "resolve", TYPES[parts[0]], parts[1:])
    return _rest("resolve", "resolve", "model", parts)


def _api(repo_type: RepoType, parts: list[str]) -> Target:
    """Below /api/models: an id of one or two parts, then maybe an action and its revision."""
    at = next((at for at in (1, 2) if parts[at : at + 1] and parts[at] in ACTIONS), len(parts))
    repo_id = "/".join(map(unquote, parts[:at]))
    action, rest = (parts[at], parts[at + 1 :]) if at < len(parts) else ("info", [])
    if at > 2:
        return Target()
    revision, below = _revision(rest)
    action = "info" if action == "revision" else action
    return Target("api", action, repo_type, repo_id, revision, below)


def _rest(stage: str, action: str, repo_type: RepoType, parts: list[str]) -> Target:
    """An id of one or two parts, for `resolve` that word, a revision, a file."""
    if stage == "resolve":
        at = next((at for at in (1, 2) if parts[at : at + 1] == ["resolve"]), 0)
        if not at:
            return Target()
        rest = parts[at + 1 :]
    else:
        # the sha tells where the id ends
        at = next((at for at in (1, 2) if len(parts[at]) == 40), 2)
        rest = parts[at:]
    revision, below = _revision(rest)
    return Target(stage, action, repo_type, "/".join(map(unquote, parts[:at])), revision, below)


def _revision(parts: list[str]) -> tuple[str, str]:
    """The revision, which refs/pr/1 may be unquoted in, and the path below it."""
    at = 3 if parts[:1] == ["refs"] else 1
    revision = unquote("/".join(parts[:at])) or "main"
    return revision, unquote("/".join(parts[at:]))


def quoted(path: str) -> str:
    """A path as it stands in an address."""
    return quote(path, safe="/")

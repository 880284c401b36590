"""Profiles of engines, one file each: what they load, how they cut, cache and count."""

from __future__ import annotations

import re
from importlib import import_module
from typing import cast

from ckptscan.errors import UsageError
from ckptscan.plan.engines.base import Engine

# name -> module, in the order of the help; imported when asked for
ENGINES = {
    "vllm-0.6": "ckptscan.plan.engines.vllm_0_6",
    "vllm-0.7": "ckptscan.plan.engines.vllm_0_7",
    "vllm-0.11": "ckptscan.plan.engines.vllm_0_11",
    "vllm-0.14": "ckptscan.plan.engines.vllm_0_14",
    "vllm-0.19": "ckptscan.plan.engines.vllm_0_19",
    "vllm-0.20": "ckptscan.plan.engines.vllm_0_20",
    "vllm-0.21": "ckptscan.plan.engines.vllm_0_21",
    "sglang-0.5": "ckptscan.plan.engines.sglang_0_5",
    "llama.cpp": "ckptscan.plan.engines.llamacpp",
    "transformers-4": "ckptscan.plan.engines.transformers_4",
    "transformers": "ckptscan.plan.engines.transformers",
}
ALIASES = {
    "llamacpp": "llama.cpp",
    "llama-server": "llama.cpp",
    "ik_llama.cpp": "llama.cpp",
    "ollama": "llama.cpp",
    "hf": "transformers",
}
DEFAULT = "vllm-0.11"
# vllm, vllm-0.10.2, vllm==0.24.0
_VERSION = re.compile(r"-[\d.]+$")
_NAMED = re.compile(r"([a-z._]+?)(?:[-=@ ]*v?(\d{1,4}(?:\.\d{1,4}){0,3}))?(?:\.post\d+)?", re.ASCII)


def engine_named(name: str) -> Engine:
    """The profile that speaks for this engine and version; raises UsageError."""
    plain = name.strip().lower()[:80]
    plain = ALIASES.get(plain, plain)
    if plain in ENGINES:
        return _profile(plain)
    match = _NAMED.fullmatch(plain)
    family = [one for one in ENGINES if match and _VERSION.sub("", one) == match[1].rstrip("-")]
    if match is not None and family:
        if match[2] is None:
            return _profile(family[-1])
        wanted = tuple(int(part) for part in match[2].split("."))
        return _profile(_nearest(family, wanted))
    raise UsageError(f"no engine is called {name[:60]!r}", _way_out(plain))


def _way_out(plain: str) -> str:
    """What may have been meant, and what there is."""
    import difflib

    families = list(dict.fromkeys(_VERSION.sub("", one) for one in ENGINES))
    named = _VERSION.sub("", plain)
    near = difflib.get_close_matches(named, [*families, *ALIASES], 1, 0.6)
    start = f"nearest: {ALIASES.get(near[0], near[0])}; " if near else ""
    return f"{start}planned are {', '.join(families)}, of any version, as in {DEFAULT}"


def spoken_for(name: str) -> tuple[str, ...]:
    """A note where another version was asked for than the one whose rules are taken."""
    found = engine_named(name)
    plain = name.strip().lower()
    if plain == found.name or not any(map(str.isdigit, plain)):
        return ()
    return (
        f"{plain[:40]} is planned by the rules of {found.name}, which speak for {found.covers}",
    )


def _nearest(family: list[str], wanted: tuple[int, ...]) -> str:
    """The profile whose versions hold the one asked for, else the last one before it."""
    for name in family:
        profile = _profile(name)
        since, before = getattr(profile, "since", ()), getattr(profile, "before", ())
        if since and since <= wanted < before:
            return name
    return family[0]


def _profile(name: str) -> Engine:
    return cast(Engine, import_module(ENGINES[name]).ENGINE)

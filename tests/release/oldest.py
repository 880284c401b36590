"""Prints the lowest versions that setup.cfg allows, as pip's constraints: `click==8.2`."""

from __future__ import annotations

import re
from configparser import ConfigParser
from pathlib import Path

SETUP = Path(__file__).parents[2] / "setup.cfg"
# huggingface_hub>=1.0
LOWEST = re.compile(r"^([\w.-]+)(?:\[\w+\])?>=([\d.]+)", re.MULTILINE)


def constraints(text: str) -> dict[str, str]:
    """Name and lowest version of what ckptscan and its tests require of what ckptscan requires.

    Where both say one, the higher: the tests need a reference library that runs need not have.
    """
    setup = ConfigParser()
    setup.read_string(text)
    needed = dict(LOWEST.findall(setup["options"]["install_requires"]))
    for name, version in LOWEST.findall(setup["options.extras_require"]["dev"]):
        if name in needed:
            needed[name] = max(needed[name], version, key=_parts)
    return needed


def _parts(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


if __name__ == "__main__":
    for name, version in constraints(SETUP.read_text(encoding="utf-8")).items():
        print(f"{name}=={version}")

"""Prints the mutation matrix, of packs or of language models among the types.

python -m tests.checks.matrix [SEED]... [--types COUNT] [--some SHARE]
"""

from __future__ import annotations

import sys

from tests.checks.matrix.kinds import KINDS
from tests.checks.matrix.running import table, trials
from tests.checks.matrix.subjects import SMALL, of_packs, of_types
from tests.checks.matrix.values import value_trials


def _taken(arguments: list[str], name: str) -> str:
    """The value of an option, taken out of the arguments; 0 without it."""
    if name not in arguments:
        return "0"
    at = arguments.index(name)
    value = arguments[at + 1]
    del arguments[at : at + 2]
    return value


def main(arguments: list[str]) -> int:
    """Run the matrix over the small packs, or over model types, with these seeds."""
    types, some = int(_taken(arguments, "--types")), float(_taken(arguments, "--some")) or 1.0
    seeds = [int(word) for word in arguments] or [0]
    if types:
        kinds = {"structure": KINDS["structure"]}
        print(table(trials(of_types(types, seeds[0]), kinds, seeds, some)))
    else:
        print(table([*trials(of_packs(SMALL), KINDS, seeds, some), *value_trials(seeds)]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

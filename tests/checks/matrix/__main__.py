"""Prints the mutation matrix: `python -m tests.checks.matrix [SEED]... [--types COUNT]`."""

from __future__ import annotations

import sys

from tests.checks.matrix.kinds import KINDS
from tests.checks.matrix.running import table, trials
from tests.checks.matrix.subjects import SMALL, of_packs, of_types


def main(arguments: list[str]) -> int:
    """Run the matrix over the small packs, or over model types, with these seeds."""
    types = 0
    if "--types" in arguments:
        at = arguments.index("--types")
        types = int(arguments[at + 1])
        del arguments[at : at + 2]
    seeds = [int(word) for word in arguments] or [0]
    if types:
        kinds = {"structure": KINDS["structure"]}
        print(table(trials(of_types(types, seeds[0]), kinds, seeds)))
    else:
        print(table(trials(of_packs(SMALL), KINDS, seeds)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

"""Globs over names: of tensors, and of all tensors that a place speaks of."""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import translate
from functools import lru_cache
from itertools import product
from math import prod

from ckptscan.checks.values import Where
from ckptscan.names import IndexSet, fill, split_stars

LONGEST = 4096  # characters of a name that a glob may match; bounds what backtracks
MOST_NAMES = 20_000  # of one place that are written out


@lru_cache(maxsize=256)
def matcher(glob: str) -> Callable[[str], bool]:
    """The test of a glob: `*`, `?` and `[...]`; a longer name than LONGEST matches none."""
    match = re.compile(translate(glob)).match
    return lambda name: len(name) <= LONGEST and match(name) is not None


def is_within(where: Where, glob: str) -> bool:
    """Whether all tensors of a place match; a place without a tensor does not."""
    if where.pattern is None:
        return where.tensor is not None and matcher(glob)(where.tensor)
    stars = len(split_stars(where.pattern)) - 1
    # a star of the pattern stands for digits, which a star of the glob takes as well
    is_plain = not set(glob) & set("?[") and "\\" not in where.pattern
    if is_plain and matcher(glob)(where.pattern):
        return True
    try:
        axes = [IndexSet.parse(axis) for axis in where.indices]
    except ValueError:
        return False
    if len(axes) != stars or not 0 < prod(map(len, axes)) <= MOST_NAMES:
        return False
    return all(matcher(glob)(fill(where.pattern, one, axes)) for one in product(*axes))


def source_matches(source: str, glob: str) -> bool:
    """Whether a source, as it was named, is meant: `./` before and `/` behind it do not count."""
    return matcher(plain_source(glob))(plain_source(source))


def plain_source(source: str) -> str:
    """A source as it was named, without `./` before and `/` behind it."""
    while source.startswith("./"):
        source = source[2:].lstrip("/")
    return source.rstrip("/") or source

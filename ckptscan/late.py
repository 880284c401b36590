"""Regular expressions that are compiled when they are first used.

160 of them take 25 ms to compile, a third of what a small report takes, and most reports need few.
"""

from __future__ import annotations

import re
from functools import cached_property


class Late:
    """A pattern with the methods of `re.Pattern` that the rules use."""

    def __init__(self, pattern: str, flags: int = 0) -> None:
        self.pattern = pattern
        self.flags = flags

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(self.pattern, self.flags)

    def match(self, text: str) -> re.Match[str] | None:
        """See `re.Pattern.match`."""
        return self._compiled.match(text)

    def fullmatch(self, text: str) -> re.Match[str] | None:
        """See `re.Pattern.fullmatch`."""
        return self._compiled.fullmatch(text)

    def search(self, text: str) -> re.Match[str] | None:
        """See `re.Pattern.search`."""
        return self._compiled.search(text)

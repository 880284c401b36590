"""V009."""

from __future__ import annotations

import pytest

from tests.checks.looking import CONFIG, llama
from tests.content.making import Arrays, audit_of, changed, found, weights

NAME = "model.embed_tokens.weight"


def rows(first: int, last: int, value: int | None) -> Arrays:
    """A table whose rows hold this, or what row 3 holds."""
    arrays = weights(llama(range(2)))
    table = arrays[NAME][1].copy()
    table[first : last + 1] = table[3] if value is None else value
    return changed(arrays, {NAME: table})


CASES = [
    pytest.param(weights(llama(range(2))), [], id="V009-sound"),
    pytest.param(rows(1000, 1023, 0), ["V009 info"], id="V009-zero"),
    pytest.param(rows(1000, 1023, None), ["V009 info"], id="V009-the-same"),
]


@pytest.mark.parametrize(("arrays", "expected"), CASES)
def test_what_is_found(arrays: Arrays, expected: list[str]) -> None:
    assert expected == found(arrays, "V009")


@pytest.mark.parametrize(
    ("vocabulary", "words"),
    [(1000, "all past the 1,000 of vocab_size: padding"), (1010, "14 of them past"), (1024, "zero or nearly so")],
)  # fmt: skip
def test_padding_is_told_as_such(vocabulary: int, words: str) -> None:
    config = CONFIG | {"vocab_size": vocabulary, "num_hidden_layers": 2}
    (finding,) = audit_of(rows(1000, 1023, 0), "V009", config=config).findings

    assert words in finding.message
    assert "1000-1023" == finding.evidence["rows"]

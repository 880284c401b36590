"""V005."""

from __future__ import annotations

from hashlib import sha256

import pytest

from ckptscan.checks import Given, audit
from ckptscan.content import Wish, read_content
from tests.checks.looking import llama
from tests.content.making import raw_file, source_of, structure_of, told, weights

DATA = raw_file(weights(llama(range(2))))
DIGEST = sha256(DATA).hexdigest()
FLIPPED = DATA[:-100] + bytes([DATA[-100] ^ 4]) + DATA[-99:]

CASES = [
    pytest.param(DATA, DIGEST, [], id="V005-the-right-bytes"),
    pytest.param(DATA, None, [], id="V005-nothing-to-hold-them-against"),
    pytest.param(FLIPPED, DIGEST, ["V005 error"], id="V005-a-flipped-bit"),
]


@pytest.mark.parametrize(("data", "digest", "expected"), CASES)
def test_what_is_found(data: bytes, digest: str | None, expected: list[str]) -> None:
    source = source_of(data, digest)
    structure = structure_of(source)
    content = read_content(source, structure, Wish(tensors=False, hashes=True))
    done = audit(structure, ["V005"], given=Given(digests=content.hashes))

    assert expected == told(done.findings)


def test_it_asks_for_hashes() -> None:
    structure = structure_of(source_of(DATA))
    (skip,) = [one for one in audit(structure).skipped if one.code == "V005"]
    given = Given(absent={"digests": "none is known"})
    (other,) = [one for one in audit(structure, given=given).skipped if one.code == "V005"]

    assert "asks for --hash" == skip.reason
    assert "none is known" == other.reason

"""X007."""

from __future__ import annotations

import pytest

from tests.checks.making import ONE, findings_of
from tests.conftest import file_of


def saying(value: str) -> dict[str, object]:
    return {"model.safetensors": file_of(ONE, {"format": "pt", "note": value})}


CASES = [
    pytest.param("X007", saying("an important evaluation (eval) of imports"), 0, id="X007-prose"),
    pytest.param("X007", saying("data:image/png;base64," + "A" * (1 << 20)), 0, id="X007-picture"),
    pytest.param("X007", saying("__import__('os').system('id')"), 1, id="X007-import"),
    pytest.param("X007", saying("for all; imported from systems"), 0, id="X007-more-prose"),
    pytest.param("X007", saying("x = 1; from os import system"), 1, id="X007-from"),
    pytest.param("X007", saying("<script>alert(1)</script>"), 1, id="X007-script"),
    pytest.param("X007", saying("gASVKAAAAAAAAACMBXBvc2l4lIw"), 1, id="X007-pickle"),
    pytest.param("X007", saying("x" * ((1 << 20) + 1)), 1, id="X007-large"),
]


@pytest.mark.parametrize(("code", "files", "count"), CASES)
def test_what_is_found(code: str, files: dict[str, object], count: int) -> None:
    assert count == len(findings_of(files, code))

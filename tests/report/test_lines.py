"""Documents as the lines of indented JSON."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ckptscan.report.lines import json_lines
from tests.conftest import WRITABLE

TEXTS = st.text(WRITABLE, max_size=9)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.just("\ud800")
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(TEXTS, inner, max_size=4)
    ),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(TEXTS, VALUES, max_size=6)


@given(DOCUMENTS)
def test_the_text_is_that_of_json_dumps(document: dict[str, object]) -> None:
    assert json.dumps(document, indent=2) == "\n".join(json_lines(document))


@given(DOCUMENTS)
def test_a_generator_is_written_as_a_list_is(document: dict[str, object]) -> None:
    drawn = {key: _drawn(value) for key, value in document.items()}

    assert json.dumps(document, indent=2) == "\n".join(json_lines(drawn))


def test_a_document_is_drawn_while_it_is_written() -> None:
    drawn: list[int] = []

    def rows() -> Any:
        for number in range(100):
            drawn.append(number)
            yield {"number": number}

    lines = json_lines({"rows": rows()})

    assert '{\n  "rows": [\n    {\n      "number": 0' == next(lines)
    assert [0] == drawn


def _drawn(value: object) -> object:
    """The value with a generator in place of each list that an object or a generator holds."""
    if isinstance(value, dict):
        return {key: _drawn(held) for key, held in value.items()}
    if isinstance(value, list):
        return (_drawn(held) for held in value)
    return value

"""X002-X004, X009."""

from __future__ import annotations

import pytest

from tests.checks.making import ONE, findings_of

FILE = "model.safetensors"


def beside(**files: object) -> dict[str, object]:
    """A sound checkpoint and these files; `_` is a dot in their names."""
    return {FILE: ONE, **{name.replace("__", "."): held for name, held in files.items()}}


NESTED = {"vision": {"auto_map": {"AutoModel": "evil.Model"}}}
DEEP: dict[str, object] = {"a": [[{"auto_map": {"AutoModel": "x.Y"}}]]}
ESCAPE = {"chat_template": "{{ ''.__class__.__mro__ }}"}

CASES = [
    pytest.param("X002", beside(openvino_model__bin=b"x"), 0, id="X002-openvino"),
    pytest.param("X002", beside(model__gguf=b"x"), 0, id="X002-gguf"),
    pytest.param("X002", beside(pytorch_model__bin=b"x", a__pt=b"x"), 1, id="X002-bin-and-pt"),
    pytest.param("X003", beside(config__json={"auto_map": {}}), 0, id="X003-empty"),
    pytest.param("X003", beside(config__json={"model_type": "auto_map"}), 0, id="X003-a-value"),
    pytest.param("X003", beside(config__json=NESTED), 1, id="X003-nested"),
    pytest.param("X003", beside(config__json=DEEP), 1, id="X003-in-lists"),
    pytest.param("X003", beside(tokenizer_config__json=NESTED), 1, id="X003-tokenizer"),
    pytest.param("X003", beside(modeling_x__py=b""), 1, id="X003-script"),
    pytest.param(
        "X004", beside(config__json={"_attn_implementation": "sdpa"}), 0, id="X004-ordinary"
    ),
    pytest.param(
        "X004", beside(config__json={"_attn_implementation": "org/kernel"}), 1, id="X004-kernel"
    ),
    pytest.param(
        "X004",
        beside(config__json={"a": {"_attn_implementation_internal": "x/y"}}),
        1,
        id="X004-nested",
    ),
    pytest.param("X004", beside(config__json={"model_file": "evil.py"}), 1, id="X004-file"),
    pytest.param(
        "X009",
        beside(tokenizer_config__json={"chat_template": "{{ messages }} a class and an import"}),
        0,
        id="X009-ordinary",
    ),
    pytest.param("X009", beside(tokenizer_config__json=ESCAPE), 1, id="X009-in-a-config"),
    pytest.param(
        "X009", beside(chat_template__jinja=b"{{ x.__globals__ }}"), 1, id="X009-in-a-file"
    ),
]


@pytest.mark.parametrize(("code", "files", "count"), CASES)
def test_what_is_found(code: str, files: dict[str, object], count: int) -> None:
    assert count == len(findings_of(files, code))


def test_pickles_are_a_remark_where_the_weights_are_whole() -> None:
    (found,) = findings_of(beside(pytorch_model__bin=b"x"), "X002")
    half = {"model-00001-of-00002.safetensors": ONE, "pytorch_model.bin": b"x"}
    (warned,) = findings_of(half, "X002")

    assert ("info", "warning") == (found.severity, warned.severity)


def test_a_config_as_deep_as_json_allows_is_walked_without_recursion() -> None:
    deep = b'{"a":' * 900 + b'{"auto_map":{"x":"y"}}' + b"}" * 900

    assert 1 == len(findings_of(beside(config__json=deep), "X003"))

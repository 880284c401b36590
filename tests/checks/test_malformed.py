"""Twenty-two malformed files and three faulty indexes, of which each peer accepts some: all told."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from ckptscan.checks import Audit, audit
from ckptscan.header import LENGTH
from ckptscan.report.findings import FORMATS, report
from tests.checks.making import ONE, PT, entry, raw
from tests.conftest import checkpoint_of, file_of, framed, index_of

A = entry("F32", [2], 0, 8)
OSC = "\x1b]0;owned\x07\x1b[2J"
DEEP = 200_000
SOUND = file_of(ONE, PT)
# name -> the code that must be found, the file
FILES: dict[str, tuple[str, bytes]] = {
    "hole": ("H008", raw({"a": A, "b": entry("F32", [2], 12, 20)}, 20)),
    "trailing bytes": ("H003", raw({"a": A}, 24)),
    "overlap": ("H007", raw({"a": A, "b": entry("F32", [2], 4, 12)}, 12)),
    "shape that is not the bytes": ("H009", raw({"a": entry("F32", [3], 0, 8)}, 8)),
    "huge shape": ("H010", raw({"a": entry("F32", [2**32, 2**32], 0, 0)})),
    "negative dimensions": ("H010", raw({"a": entry("F32", [-2, -1], 0, 8)}, 8)),
    "unknown dtype": ("H011", raw({"a": entry("F33", [2], 0, 8)}, 8)),
    "metadata that is no text": ("H013", raw(json.dumps({"__metadata__": {"n": 1}, "a": A}), 8)),
    "float offsets": ("H010", raw({"a": entry("F32", [2], 0.0, 8.0)}, 8)),
    "begin after end": ("H010", raw({"a": entry("F32", [2], 8, 0)}, 8)),
    "offsets beyond the file": ("H002", raw({"a": entry("F32", [4], 0, 16)}, 8)),
    "duplicate key": ("H006", raw(f'{{"a":{json.dumps(A)},"a":{json.dumps(A)}}}', 8)),
    "escape sequence in a name": ("X005", raw({OSC: A}, 8)),
    "deep JSON": ("H005", raw('{"a":' + "[" * DEEP + "]" * DEEP + "}")),
    "leading space": ("H005", raw(" " + json.dumps({"a": A}), 8)),
    "header is a list": ("H005", raw("[1]")),
    "not UTF-8": ("H005", framed(b'{"\xff\xfe":{} }'.ljust(16))),
    "not JSON": ("H005", framed(b"{a: nothing at all}     ")),
    "huge header length": ("H004", (2**63).to_bytes(LENGTH, "little") + b"{}      "),
    "no header": ("H004", bytes(LENGTH)),
    "truncated": ("H002", SOUND[:-3]),
    "empty": ("H002", b""),
}  # fmt: skip
NAMES = dict.fromkeys(ONE, "ok.safetensors")
# name -> the code that must be found, the files
INDEXES: dict[str, tuple[str, Mapping[str, bytes]]] = {
    "tensor that no shard holds": (
        "I002", {"i": index_of(NAMES | {"ghost": "ok.safetensors"}), "ok": SOUND}
    ),
    "path out of the folder": ("X001", {"i": index_of(NAMES | {"c": "../ok.safetensors"}), "ok": SOUND}),
    "missing shard": ("I001", {"i": index_of(NAMES | {"c": "gone.safetensors"}), "ok": SOUND}),
}  # fmt: skip


def of_file(name: str) -> Audit:
    return audit(checkpoint_of({"model.safetensors": FILES[name][1]}))


def of_index(name: str) -> Audit:
    files = INDEXES[name][1]
    return audit(
        checkpoint_of({"model.safetensors.index.json": files["i"], "ok.safetensors": files["ok"]})
    )


def test_they_are_as_many_as_were_tried_on_the_peers() -> None:
    assert (22, 3) == (len(FILES), len(INDEXES))


@pytest.mark.parametrize("name", FILES)
def test_a_malformed_file_is_told(name: str) -> None:
    done = of_file(name)

    assert () == done.crashed
    assert FILES[name][0] in {finding.code for finding in done.findings}


@pytest.mark.parametrize("name", INDEXES)
def test_a_faulty_index_is_told(name: str) -> None:
    done = of_index(name)

    assert () == done.crashed
    assert (INDEXES[name][0], "error") in {(one.code, one.severity) for one in done.findings}


@pytest.mark.parametrize("format_name", FORMATS)
def test_no_report_carries_a_control_character(format_name: str) -> None:
    done = [*map(of_file, FILES), *map(of_index, INDEXES)]
    text = "\n".join(report(done, format_name, 100))

    assert text.replace("\n", "").isprintable()
    assert "\\x1b" in text or "\\u001b" in text


def test_a_sound_file_is_not_told() -> None:
    done = audit(checkpoint_of({"model.safetensors": SOUND}))

    assert [] == [finding.code for finding in done.findings if finding.severity != "info"]


def test_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    told = {name: (of_file(name), code) for name, (code, _) in FILES.items()}
    told |= {name: (of_index(name), code) for name, (code, _) in INDEXES.items()}
    found = sum(code in {one.code for one in done.findings} for done, code in told.values())
    lines = [
        f"  {name:28} {code}  {sorted({one.code for one in done.findings if one.severity != 'info'})}"
        for name, (done, code) in told.items()
    ]

    with capsys.disabled():
        print(f"\nmalformed files and indexes told: {found} of {len(told)}", *lines, sep="\n")
    assert found == len(told)

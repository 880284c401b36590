"""The malformed files: all told, with a code, and nothing crashes."""

from __future__ import annotations

import pytest

from ckptscan.checkpoint import open_checkpoint
from ckptscan.checks import audit
from ckptscan.report.findings import FORMATS, report
from tests.conftest import ATTACKS

# the code that must be found -> files
FILES = {
    "H001": "gguf gzip hdf5 html json-error lfs-pointer npy pickle zip",
    "H002": "empty seven-bytes truncated",
    "H003": "trailing",
    "H004": "length-huge length-limit length-past-end length-zero zeros",
    "H005": "deep leading-space long-digits nan not-utf8 surrogate two-documents",
    "H006": "duplicate-name",
    "H007": "overlap",
    "H008": "gap",
    "H010": "bool-shape duplicate-field float-shape negative overflow unknown-field",
    "H011": "unknown-dtype",
    "X005": "hostile-metadata hostile-names",
}
TOLD = {name: code for code, names in FILES.items() for name in names.split()}


def test_every_hostile_file_stands_in_the_table() -> None:
    files = {path.stem for path in ATTACKS.glob("*.safetensors")}

    assert files - {"ok"} == TOLD.keys()


@pytest.mark.parametrize("name", TOLD)
def test_a_malformed_file_is_told_by_its_code(name: str) -> None:
    done = audit(open_checkpoint(ATTACKS / f"{name}.safetensors"))

    assert () == done.crashed
    assert TOLD[name] in {finding.code for finding in done.findings}


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("name", ["hostile-names", "hostile-metadata", "surrogate", "overflow"])
def test_no_report_carries_what_a_terminal_obeys(name: str, format_name: str) -> None:
    done = audit(open_checkpoint(ATTACKS / f"{name}.safetensors"))
    text = "\n".join(report([done], format_name, 100))

    assert text.replace("\n", "").isprintable()
    assert text.encode("utf-8")

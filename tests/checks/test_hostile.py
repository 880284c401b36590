"""The malformed files: all told, with a code, and nothing crashes."""

from __future__ import annotations

import pytest

from ckptscan.checkpoint import open_checkpoint
from ckptscan.checks import Given, audit
from ckptscan.checks.baseline import apply_baseline, read_baseline
from ckptscan.checks.baseline import written as written_baseline
from ckptscan.checks.policy import parse_rule
from ckptscan.checks.policy.words import FACTS, FIGURES
from ckptscan.lock import Compared, open_for_lock, read_lock, written
from ckptscan.report.findings import FORMATS, report
from ckptscan.sources import open_source
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


POLICY = """
all are BF16
all are 4 bits
all have shape [2, *]
"*" are F32 or F16
"*[a-z]*" are F32
no F32 over 1 % of bytes
no "*?*" tensors over 3 % of parameters
no pickle files
no files "*"
bytes of all > 9 TiB
""".split("\n")
FIGURES_ASKED = [f"{name} = 0" for name in dict.fromkeys(FIGURES.values())]
FACTS_ASKED = [f"{name} = x" for name in FACTS]


@pytest.mark.parametrize("name", ["ok", *TOLD])
def test_policy_and_lock_bear_a_malformed_file(name: str) -> None:
    lines = [*filter(None, POLICY), *FIGURES_ASKED, *FACTS_ASKED]
    source = open_source(str(ATTACKS / f"{name}.safetensors"))
    checkpoint, lock = open_for_lock(source)
    again = read_lock(written(lock).encode(), "x")
    given = Given(policy=tuple(map(parse_rule, lines)), lock=Compared(again, lock))
    done = audit(checkpoint, ["P", "L"], given=given)
    baseline = read_baseline(written_baseline([done]).encode(), "x")

    assert () == done.crashed
    assert {"P"} == {finding.code[0] for finding in done.findings}
    assert () == apply_baseline(done, baseline)[0].findings
    for format_name in FORMATS:
        assert "\n".join(report([done], format_name, 100)).replace("\n", "").isprintable()


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("name", ["hostile-names", "hostile-metadata", "surrogate", "overflow"])
def test_no_report_carries_what_a_terminal_obeys(name: str, format_name: str) -> None:
    done = audit(open_checkpoint(ATTACKS / f"{name}.safetensors"))
    text = "\n".join(report([done], format_name, 100))

    assert text.replace("\n", "").isprintable()
    assert text.encode("utf-8")

"""X001, X008."""

from __future__ import annotations

from pathlib import Path

import pytest

from ckptscan.checkpoint import open_checkpoint
from ckptscan.checks import audit
from tests.checks.making import ONE, findings_of
from tests.conftest import file_of, index_of

FILE, INDEX = "model.safetensors", "model.safetensors.index.json"


def named(path: str) -> dict[str, object]:
    return {FILE: ONE, INDEX: index_of({"a.weight": FILE, "b.weight": path})}


CASES = [
    pytest.param("X001", named("sub/dir/model.safetensors"), 0, id="X001-below"),
    pytest.param("X001", named("..safetensors"), 0, id="X001-two-dots-in-a-name"),
    pytest.param("X001", named("../ok.safetensors"), 1, id="X001-above"),
    pytest.param("X001", named("/etc/passwd"), 1, id="X001-absolute"),
    pytest.param("X001", named("a\\..\\b"), 1, id="X001-backslash"),
    pytest.param("X001", named("https://host/x.safetensors"), 1, id="X001-address"),
    pytest.param("X001", named("C:x.safetensors"), 1, id="X001-drive"),
]
LINKS = [
    pytest.param("real.json", 0, id="X008-inside"),
    pytest.param("../../blobs/0123", 0, id="X008-blob-of-a-cache"),
    pytest.param("../outside.json", 1, id="X008-above"),
    pytest.param("/etc/hostname", 1, id="X008-absolute"),
]


@pytest.mark.parametrize(("code", "files", "count"), CASES)
def test_what_is_found(code: str, files: dict[str, object], count: int) -> None:
    assert count == len(findings_of(files, code))


@pytest.mark.parametrize(("target", "count"), LINKS)
def test_a_link_that_leads_out(target: str, count: int, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / FILE).write_bytes(file_of(ONE, {"format": "pt"}))
    (folder / "real.json").write_text("{}")
    (folder / "notes.json").symlink_to(target)

    assert count == len(audit(open_checkpoint(folder), ["X008"]).findings)

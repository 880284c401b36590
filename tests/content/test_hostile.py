"""Files that lie: deep checks read what can be read, and never raise."""

from __future__ import annotations

from pathlib import Path

import pytest

from ckptscan.checkpoint import load
from ckptscan.checks import Given, audit
from ckptscan.content import Sample, Wish, peek_content, read_content
from ckptscan.sources import open_source
from ckptscan.structure import describe
from tests.conftest import ATTACKS

FILES = sorted(ATTACKS.glob("*.safetensors"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
@pytest.mark.parametrize("sample", [None, Sample(share=1.0)], ids=["all", "sample"])
def test_an_attack_is_read_as_far_as_it_goes(path: Path, sample: Sample | None) -> None:
    source = open_source(str(path))
    structure = describe(load(source))
    content = read_content(source, structure, Wish(sample=sample, hashes=True))
    peeked = peek_content(source, structure)
    done = audit(structure, given=Given(content=content, peeked=peeked, digests=content.hashes))

    assert () == done.crashed
    assert content.bytes_read <= path.stat().st_size
    assert len(structure.checkpoint.table) == content.tensors_read + len(content.unread)


@pytest.mark.parametrize(
    "name",
    ["\x1b[31m", "a" * 70_000, "‮model.embed_tokens.weight", "*", "model.layers.*.mlp.up_proj.weight"],
    ids=["escape", "long", "bidi", "star", "pattern"],
)  # fmt: skip
def test_names_may_hold_anything(name: str) -> None:
    import numpy as np

    from tests.content.making import audit_of, weights

    arrays = weights({name: ("BF16", [256, 64]), f"{name}.scale": ("BF16", [4])})
    nan = np.full((256, 64), 0x7FC0, "<u2")
    done = audit_of(arrays | {name: ("BF16", nan)})

    assert () == done.crashed
    assert "V001" in [one.code for one in done.findings]

"""Loading: what each rank reads from which file, worked by hand."""

from __future__ import annotations

import json

import pytest

from ckptscan.checkpoint import load
from ckptscan.hardware import parse_devices
from ckptscan.plan import Ask, LoadAsk, Parallel, Section, plan
from ckptscan.structure import Structure, describe
from tests.conftest import PACKS, source_of
from tests.plan.measured import structure_of

MODELS = [path.name.removesuffix(".ckptpack") for path in sorted(PACKS.glob("*.ckptpack"))
          if "lora" not in path.name]  # fmt: skip
FEW = ("Qwen--Qwen1.5-MoE-A2.7B", "deepseek-ai--DeepSeek-V2-Lite", "openai--gpt-oss-120b")
LLAMA = "meta-llama--Llama-3.1-8B"
# norms that all parts but one repeat
REPEATED = {"meta-llama--Llama-3.1-70B-original-mp8": 7 * 161 * 8192 * 2}


def loading(
    structure: Structure, rate: int | None = None, gpu: str = "h200", **ways: int
) -> Section:
    ask = Ask(parse_devices(gpu), Parallel(**ways), load=LoadAsk(rate))
    return plan(structure, ask).sections[0]


def values(section: Section, words: str) -> list[int | float | None]:
    return [row.value for row in section.rows if words in row.name]


@pytest.mark.parametrize(
    "model",
    [model if model in FEW else pytest.param(model, marks=pytest.mark.slow) for model in MODELS],
)
def test_one_rank_reads_all_but_what_drafts(model: str) -> None:
    structure = structure_of(f"pack:{model}")
    section = loading(structure)

    needed = structure.main.nbytes - REPEATED.get(model, 0)

    assert [needed] == values(section, "must read")
    assert needed == sum(int(size or 0) for size in values(section, "rank 0 from"))


def test_ranks_read_their_cut() -> None:
    """Of Llama the norms alone stand on every rank; o and down are pieces of rows."""
    structure = structure_of(f"pack:{LLAMA}")
    norms = 65 * 4096 * 2
    section = loading(structure, tp=8)

    assert [(structure.nbytes - norms) // 8 + norms] == values(section, "must read")
    (pages,) = values(section, "whole pages")
    assert (pages or 0) > (structure.nbytes - norms) // 8 + norms


def test_stages_read_their_layers() -> None:
    structure = structure_of(f"pack:{LLAMA}")

    assert structure.nbytes == sum(
        int(size or 0) for size in values(loading(structure, pp=3), "must read")
    )


def test_experts_that_are_shared_are_read_once() -> None:
    """Qwen3-30B-A3B: 48 layers of 128 experts of three matrices, 2048 x 768."""
    structure = structure_of("pack:Qwen--Qwen3-30B-A3B")
    experts = 48 * 128 * 3 * 2048 * 768 * 2
    one, shared = (values(loading(structure, dp=dp, ep=dp), "must read")[0] or 0 for dp in (1, 4))

    assert experts * 3 // 4 == one - shared


def test_seconds_are_bytes_over_the_rate() -> None:
    structure = structure_of(f"pack:{LLAMA}")
    files = sum(shard.file_size for shard in structure.checkpoint.table.shards)
    section = loading(structure, 2 * 10**9)

    assert [files / 2e9] == values(section, "one disk")
    assert [structure.nbytes / 2e9] == values(section, "link for each rank")[:1]
    assert not values(loading(structure), "one disk")


def test_tensors_that_lie_unaligned_are_copied() -> None:
    """A byte before them puts both weights at odd places."""
    shapes = {"a.bias": ("U8", [1]), "b.weight": ("F32", [4, 4]), "c.weight": ("BF16", [2, 2])}
    config = json.dumps({"model_type": "llama"}).encode()
    structure = describe(load(source_of({"model.safetensors": shapes, "config.json": config})))  # type: ignore[arg-type]
    section = loading(structure)

    assert [2] == values(section, "unaligned")
    assert [64 + 8] == values(section, "copied")
    assert [64] == values(section, "host memory")


WIDE, PARTS = 64, 4


def in_parts() -> Structure:
    """Two layers in four parts, as Meta's: outputs of q, inputs of o cut, norms whole in each."""
    cut = {"attention.wq.weight": [WIDE // PARTS, WIDE], "attention.wo.weight": [WIDE, WIDE // PARTS],
           "attention_norm.weight": [WIDE]}  # fmt: skip
    part = {f"layers.{i}.{name}": ("BF16", shape) for i in range(2) for name, shape in cut.items()}
    part |= {
        "norm.weight": ("BF16", [WIDE]),
        "tok_embeddings.weight": ("BF16", [64, WIDE // PARTS]),
    }
    files = {f"consolidated.{i:02d}.safetensors": part for i in range(PARTS)}
    params = json.dumps({"dim": WIDE, "n_layers": 2, "n_heads": 16}).encode()
    return describe(load(source_of({**files, "params.json": params})))  # type: ignore[arg-type]


CUT = 2 * WIDE * WIDE * 2 * 2 + 64 * WIDE * 2  # bytes of what is cut, joined
NORMS = 3 * WIDE * 2


@pytest.mark.parametrize(
    ("tp", "files"),
    [
        pytest.param(1, [CUT // 4 + NORMS, CUT // 4, CUT // 4, CUT // 4], id="all-parts"),
        pytest.param(2, [CUT // 4 + NORMS, CUT // 4], id="two-parts-each"),
        pytest.param(4, [CUT // 4 + NORMS], id="its-own-part"),
        pytest.param(8, [CUT // 8 + NORMS], id="half-a-part"),
    ],
)
def test_of_parts_a_rank_reads_its_own(tp: int, files: list[int]) -> None:
    section = loading(in_parts(), tp=tp)

    assert files == values(section, "rank 0 from")
    assert [sum(files)] * tp == values(section, "must read")
    last = [row.name for row in section.rows if row.name.startswith(f"rank {tp - 1} from")]
    assert "consolidated.03.safetensors" in last[-1]


def test_stages_read_their_layers_of_every_part() -> None:
    section = loading(in_parts(), tp=4, pp=2)
    layer = (2 * WIDE * WIDE * 2) // 4 + WIDE * 2
    table, norm = 64 * WIDE * 2 // 4, WIDE * 2

    assert [layer + table] * 4 + [layer + norm] * 4 == values(section, "must read")

"""llama.cpp's profile against its logs (fixtures/plan/llamacpp.tsv), and its own rules."""

from __future__ import annotations

from collections import Counter

import pytest

from ckptscan.errors import UsageError
from ckptscan.hardware import parse_devices
from ckptscan.plan import Ask, Local, MemoryPlan, Model, plan
from ckptscan.plan.ggml import MIXES, mix_named, row_bytes
from ckptscan.plan.gguf import gguf_of
from ckptscan.plan.spread import HOST, spread
from tests.plan.measured import GIB, Measured, planned, rows, structure_of

LLAMA = "pack:meta-llama--Llama-3.1-8B"
LARGE = "pack:meta-llama--Llama-3.1-70B"
MIB = 1 << 20


def local(model: str, gpu: str = "rtx4090", **options: object) -> MemoryPlan:
    said = {key: options.pop(key) for key in [*options] if key in Local._fields}
    ask = Ask(parse_devices(gpu), engine="llama.cpp", local=Local(**said), **options)  # type: ignore[arg-type]
    return plan(structure_of(model), ask)


@pytest.mark.parametrize("row", list(rows("llamacpp")), ids=lambda row: f"{row.id}-{row.model}")
def test_sizes_are_what_the_engine_logged(row: Measured) -> None:
    said = planned(row).predictions[row.quantity]

    assert said is not None
    assert row.value == pytest.approx(said, abs=row.rounding * 1.01)


@pytest.mark.parametrize(
    ("model", "mix", "gib"),
    [
        (LLAMA, "q4_k_m", 4.58),
        (LARGE, "q4_k_m", 39.59),
        ("pack:google--gemma-2-9b", "q4_k_m", 5.36),
    ],
)
def test_files_that_everybody_has(model: str, mix: str, gib: float) -> None:
    """What llama.cpp prints of files that are on many disks."""
    file = gguf_of(Model.of(structure_of(model)), mix)

    assert gib == pytest.approx(file.nbytes / GIB, abs=0.006)


def test_types_are_counted_as_the_log_counts_them() -> None:
    """llama.cpp#14235: type f32: 241 tensors, q4_K: 289, q6_K: 49."""
    file = gguf_of(Model.of(structure_of("pack:Qwen--Qwen3-30B-A3B")), "q4_k_m")

    assert {"f32": 241, "q4_k": 289, "q6_k": 49} == Counter(t.kind for t in file.tensors)


@pytest.mark.parametrize("model", [LLAMA, "pack:mistralai--Mixtral-8x7B-v0.1",
                                   "pack:tiiuae--falcon-7b", "pack:openai-community--gpt2"])  # fmt: skip
def test_mixes_of_fewer_bits_are_smaller(model: str) -> None:
    one = Model.of(structure_of(model))
    order = (
        "f32",
        "bf16",
        "q8_0",
        "q6_k",
        "q5_k_m",
        "q5_k_s",
        "q4_k_m",
        "q4_k_s",
        "iq4_xs",
        "q2_k",
    )
    sizes = [gguf_of(one, mix).nbytes for mix in order]

    assert sorted(sizes, reverse=True) == sizes
    assert all(gguf_of(one, mix).nbytes for mix in MIXES)


def test_rows_that_no_block_fills_take_another_type() -> None:
    """gpt2-xl and Qwen2.5-0.5B: rows of 896 are no whole blocks of 256, but of 32."""
    file = gguf_of(Model.of(structure_of("Qwen2.5-0.5B")), "q4_k_m")

    assert {"f32", "q5_0", "q8_0", "q4_k", "q6_k"} == {tensor.kind for tensor in file.tensors}
    assert 34 * 28 == row_bytes("q8_0", 896)


def test_quantized_weights_are_unpacked_first() -> None:
    plain = gguf_of(Model.of(structure_of("Qwen2.5-7B-Instruct")), "bf16")
    packed = gguf_of(Model.of(structure_of("Qwen2.5-7B-Instruct-AWQ")), "bf16")

    assert plain.nbytes == packed.nbytes


def test_layers_go_to_cards_from_the_last() -> None:
    assert (HOST, HOST, 0, 0) == spread(4, 3, [1.0]).cards
    assert ((HOST,) * 4, HOST) == spread(4, 0, [1.0])
    assert ((0, 0, 0, 0), 1) == spread(4, None, [2.0, 1.0])


def test_what_the_cards_do_not_take_lies_on_the_host() -> None:
    whole, partial = (local(LARGE, outtype="q4_k_m", max_len=8192, gpu_layers=n) for n in (81, 40))

    assert not whole.fits
    assert any("--n-gpu-layers" in line for line in whole.advice)
    assert partial.fits
    assert 41 == len(partial.beside[0].layers)
    assert 0 == len(whole.beside[0].layers)
    held = [sum(one.nbytes for one in (*two.ranks, *two.beside)) for two in (whole, partial)]
    assert held[0] == pytest.approx(held[1], rel=0.001)


def test_the_advice_holds() -> None:
    one = local(LARGE, outtype="q4_k_m", max_len=8192)
    layers = next(int(line.split()[1].rstrip(",")) for line in one.advice if "layers" in line)

    assert local(LARGE, outtype="q4_k_m", max_len=8192, gpu_layers=layers).fits
    assert not local(LARGE, outtype="q4_k_m", max_len=8192, gpu_layers=layers + 1).fits


def test_the_longest_context_fits_and_no_longer() -> None:
    one = local(LLAMA, outtype="q8_0", max_len=131072, gpu="rtx3090")
    longest = one.kv.longest

    assert local(LLAMA, outtype="q8_0", max_len=longest, gpu="rtx3090").fits
    assert not local(LLAMA, outtype="q8_0", max_len=longest + 256, gpu="rtx3090").fits


def test_windows_may_be_kept_whole_and_cells_shared() -> None:
    asked = {"gpu": "h200", "max_len": 65536, "requests": 4}
    plain = local("pack:openai--gpt-oss-120b", **asked)  # type: ignore[arg-type]
    full = local("pack:openai--gpt-oss-120b", swa_full=True, **asked)  # type: ignore[arg-type]
    shared = local("pack:openai--gpt-oss-120b", kv_unified=True, **asked)  # type: ignore[arg-type]

    assert 18 * 2048 * 768 * 4 / MIB == plain.predictions["kv_swa_mib"]
    assert 18 * 2048 * 1024 / MIB == shared.predictions["kv_swa_mib"]
    assert full.predictions["kv_self_mib"] == 2 * 18 * 2048 * 65536 * 4 / MIB


def test_a_tied_table_stands_on_the_host_and_as_the_head() -> None:
    """Llama-3.2-1B Q4_K_M: CUDA0 762.81 MiB, CPU_Mapped 205.49 MiB."""
    one = local("pack:meta-llama--Llama-3.2-1B", outtype="q4_k_m")

    assert any("CUDA0 model buffer size = 762.81 MiB" in line for line in one.expected)
    assert any("CPU_Mapped model buffer size = 205.49 MiB" in line for line in one.expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"outtype": "q4_k_x"}, "no GGUF type is called 'q4_k_x'"),
        ({"outtype": "iq2_xxs"}, "iq2_xxs is not modelled"),
        ({"kv_dtype": "fp8"}, "keeps no cache in fp8"),
        ({"split": (1.0, 2.0)}, "--tensor-split names 2 cards"),
    ],
)
def test_what_it_lacks_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        local(LLAMA, **options)

    assert message in caught.value.message


def test_short_names_are_understood() -> None:
    assert "q4_k_m" == mix_named("Q4_K") == mix_named("q4-k-m")


def test_states_are_kept_in_32_bits_beside_the_cells() -> None:
    """Qwen3-Next: 36 layers of 32 x 128 x 128 and 3 x 8,192 values a request."""
    one = local("pack:Qwen--Qwen3-Next-80B-A3B-Instruct", gpu="h200", max_len=4096, requests=2)

    assert one.predictions["rs_mib"] == 2 * 36 * 4 * (32 * 128 * 128 + 3 * 8192) / MIB
    assert one.predictions["kv_self_mib"] == 2 * 4096 * 24576 / MIB


def test_more_than_the_host_holds_does_not_fit() -> None:
    one = local(LARGE, outtype="q4_k_m", max_len=4096, gpu_layers=10, host_bytes=8 * GIB)

    assert "the host would hold" in one.why_not[0]

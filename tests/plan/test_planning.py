"""What each engine makes of what was asked: what-ifs, dtypes of the cache, versions, odd models."""

from __future__ import annotations

import json
import re

import pytest

from ckptscan.errors import UsageError
from ckptscan.hardware import parse_devices
from ckptscan.plan import Ask, Local, MemoryPlan, Parallel, WhatIf, plan
from ckptscan.report.plans import Shown, report
from ckptscan.structure import Structure, describe
from tests.conftest import checkpoint_of
from tests.plan.measured import structure_of

LLAMA = "pack:meta-llama--Llama-3.1-8B"
LINEAR = 6_979_321_856  # weights of Llama's linear layers


def planned(model: str = LLAMA, gpu: str = "h100", **options: object) -> MemoryPlan:
    return plan(structure_of(model), Ask(devices=parse_devices(gpu), **options))  # type: ignore[arg-type]


def test_a_mix_of_llama_cpp_is_its_outtype() -> None:
    supposed = planned(engine="llama.cpp", what_if=WhatIf("Q4_K_M"))
    said = planned(engine="llama.cpp", local=Local(outtype="q4_k_m"))

    assert said.ranks == supposed.ranks
    assert said.fits


def test_transformers_lays_out_what_is_supposed() -> None:
    plain = planned(engine="transformers")
    packed = planned(engine="transformers", what_if=WhatIf("nf4"))
    saved = 2 * LINEAR - (LINEAR // 2 + LINEAR // 16)

    assert saved == plain.first.part("weights") - packed.first.part("weights")
    assert any("sized as if" in note for note in packed.assumptions)


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"engine": "llama.cpp", "what_if": WhatIf("nf4")}, "runs GGUF files", "transformers"),
        ({"engine": "llama.cpp", "what_if": WhatIf(fits=True)}, "runs GGUF files", "q4_k_m"),
        ({"engine": "llama.cpp", "what_if": WhatIf(lora_rank=8)}, "no room for adapters", "loads"),
        ({"engine": "llama.cpp", "what_if": WhatIf("q8_0"), "local": Local("q4_0")}, "differ", ""),
        ({"kv_dtype": "q4_0"}, "vllm-0.11 keeps no cache in q4_0", "llama.cpp do"),
        ({"kv_dtype": "nvfp4", "engine": "vllm-0.6"}, "keeps no cache in nvfp4", "vllm do"),
        ({"kv_dtype": "fp8", "engine": "transformers"}, "keeps no cache in fp8", "sglang"),
        ({"parallel": Parallel(dp=2), "engine": "vllm-0.6"}, "vllm-0.6 has no --dp", "sglang-0.5"),
        ({"kv_dtype": "fp8_ds_mla"}, "for latent attention", "fp8"),
        ({"engine": "transformers", "kv_bytes": 9}, "no cache of a given size", "--requests"),
    ],
    ids=[
        "format",
        "search",
        "adapters",
        "twice",
        "ggml",
        "version",
        "transformers",
        "copies",
        "latent",
        "given-cache",
    ],
)
def test_what_an_engine_has_no_use_for_is_refused(
    options: dict[str, object], message: str, hint: str
) -> None:
    with pytest.raises(UsageError) as caught:
        planned(**options)  # type: ignore[arg-type]

    assert message in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("model", "options", "said"),
    [
        ("pack:openai--gpt-oss-120b", {"engine": "vllm-0.6", "gpu": "h200"}, "newer vllm and"),
        (LLAMA, {"engine": "transformers", "what_if": WhatIf("nvfp4")}, "vllm and sglang can"),
        (LLAMA, {"engine": "transformers", "what_if": WhatIf("q8_0")}, "llama.cpp can read them"),
        ("pack:unsloth--Meta-Llama-3.1-8B-bnb-4bit", {"engine": "llama.cpp"}, "transformers can"),
        (LLAMA, {"gpu": "apple-64gb"}, "vllm-0.11 does not run on Apple 64 GB"),
        (LLAMA, {"gpu": "k80"}, "vllm-0.11 needs compute capability 7.0"),
    ],
    ids=["version", "fp4", "gguf", "bitsandbytes", "apple", "old-card"],
)
def test_what_can_not_run_is_told_with_what_can(
    model: str, options: dict[str, object], said: str
) -> None:
    one = planned(model, **options)  # type: ignore[arg-type]

    assert not one.fits
    assert said in " ".join(one.why_not)


@pytest.mark.parametrize(
    ("engine", "notes"),
    [
        ("sglang-0.3", ["sglang-0.3 is planned by the rules of sglang-0.5, which speak for 0.5"]),
        ("sglang", []),
        ("vllm-0.11", []),
    ],
)
def test_another_version_is_told(engine: str, notes: list[str]) -> None:
    assert notes == [one for one in planned(engine=engine).assumptions if "rules of" in one]


def pipeline() -> Structure:
    """A denoiser and a text encoder, as diffusers lays them out."""
    layer = {f"layers.0.self_attn.{side}_proj.weight": ("BF16", [64, 64]) for side in "qkvo"}
    part = {"embed_tokens.weight": ("BF16", [64, 64]), **layer}
    index = {"text_encoder": ["t", "T"], "transformer": ["d", "D"]}
    return describe(
        checkpoint_of(
            {
                "model_index.json": json.dumps(index).encode(),
                "text_encoder/model.safetensors": part,
                "transformer/diffusion_pytorch_model.safetensors": part,
            }
        )
    )


@pytest.mark.parametrize("made_of", ["pipeline", "images"])
def test_what_no_engine_serves_is_weights_alone(made_of: str) -> None:
    one = plan(
        pipeline() if made_of == "pipeline" else structure_of("pack:google--vit-base-patch16-224")
    )

    assert one.unserved
    assert one.unserved in one.assumptions
    assert () == one.expected == one.kv.groups
    assert 0 == one.kv.bytes_per_token


def layers_of(container: str, config: dict[str, object], **more: list[int]) -> Structure:
    """Two layers that attend, at a path."""
    names = [f"{container}.{layer}.attn.{side}_proj" for layer in range(2) for side in "qkvo"]
    shapes = {name: [64, 64] for name in names} | more
    tensors = {f"{name}.weight": ("BF16", shape) for name, shape in shapes.items()}
    heads = {"num_attention_heads": 4}
    files = {"config.json": json.dumps(heads | config).encode(), "model.safetensors": tensors}
    return describe(checkpoint_of(files))


WORDS = {"embed_tokens": [1000, 64]}


@pytest.mark.parametrize(
    ("one", "is_served"),
    [
        pytest.param(layers_of("blocks", {"_class_name": "Denoiser"}), False, id="denoiser"),
        pytest.param(
            layers_of("decoder.layers", {"architectures": ["PointModel"]}, points_embed=[4, 64]),
            False,
            id="points",
        ),
        pytest.param(layers_of("encoder.layer", {}, **WORDS), True, id="encoder"),
        pytest.param(
            layers_of("layers", {"architectures": ["XForMaskedLM"], "vocab_size": 1000}, **WORDS),
            True,
            id="masked",
        ),
    ],
)
def test_what_writes_no_text_keeps_no_cache(one: Structure, is_served: bool) -> None:
    made = plan(one, Ask(devices=parse_devices("h100")))

    assert 0 == made.kv.bytes_per_token
    assert is_served == (not made.unserved)


def test_an_adapter_of_any_kind_is_no_model() -> None:
    files = {
        "adapter_config.json": json.dumps({"peft_type": "ANY"}).encode(),
        "adapter_model.safetensors": {"base_model.model.layers.0.any_vector": ("F32", [64])},
    }
    with pytest.raises(UsageError, match="an adapter") as caught:
        plan(describe(checkpoint_of(files)), Ask(devices=parse_devices("h100")))

    assert "plan for its base model" == caught.value.hint


@pytest.mark.parametrize("engine", ["vllm-0.11", "sglang-0.5"])
def test_an_encoder_logs_no_cache(engine: str) -> None:
    one = planned("pack:google-bert--bert-base-uncased", engine=engine)

    assert 1 == len(one.expected)


def compressing(said: dict[str, object], modules: tuple[str, ...] = ()) -> Structure:
    """Two layers that attend over fewer entries than tokens, as config or modules tell."""
    layer = {f"self_attn.{side}_proj.weight": ("BF16", [64, 64]) for side in "qkvo"}
    layer |= {f"self_attn.{name}.weight": ("BF16", [64, 64]) for name in modules}
    names = {f"model.layers.{i}.{name}": kind for i in range(2) for name, kind in layer.items()}
    table = {"model.embed_tokens.weight": ("BF16", [64, 64])}
    table["model.compressor.proj.weight"] = ("BF16", [64, 64])  # of images: no matter to the cache
    config = {"num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 16,
              "max_position_embeddings": 4096, "torch_dtype": "bfloat16", **said}  # fmt: skip
    files = {"model.safetensors": names | table, "config.json": json.dumps(config).encode()}
    return describe(checkpoint_of(files))  # type: ignore[arg-type]


COMPRESSING = {
    "ratios": compressing({"compress_ratios": [4, 128]}),
    "rates": compressing({"compress_rates": {"compressed_sparse_attention": 4}}),
    "types": compressing({"layer_types": ["sliding_attention", "heavily_compressed_attention"]}),
    "modules": compressing({}, ("compressor.wkv",)),
}


@pytest.mark.parametrize("told_by", COMPRESSING)
@pytest.mark.parametrize("engine", ["vllm-0.11", "sglang-0.5", "llama.cpp", "transformers"])
def test_a_cache_that_no_rule_sizes_is_told_and_not_counted(engine: str, told_by: str) -> None:
    """DeepSeek-V4 and its kin."""
    one = plan(COMPRESSING[told_by], Ask(engine=engine))

    assert not one.fits
    assert "the cache is not modelled and not counted" in one.why_not[0]
    assert (0, 0, "assumed", ()) == (
        one.kv.bytes_per_token, one.kv.tokens, one.kv.label, one.kv.groups
    )  # fmt: skip
    assert one.kv.formula.startswith("not modelled")
    assert {None} == {one.predictions[name] for name in one.predictions if "kv" in name}
    assert () == one.advice


def test_a_compressor_beside_the_layers_leaves_the_cache_as_it_is() -> None:
    one = plan(compressing({}), Ask(engine="vllm-0.11"))

    assert (2 * 2 * 64 * 2, "") == (one.kv.bytes_per_token, one.unmodelled)


@pytest.mark.parametrize("format_name", ["text", "markdown"])
def test_reports_say_that_it_is_not_modelled(format_name: str) -> None:
    structure = COMPRESSING["ratios"]
    text = "\n".join(report(structure.checkpoint, [plan(structure)], format_name, Shown()))

    assert re.search(r"^\W*cache\W+is not modelled", text, re.MULTILINE)


@pytest.mark.parametrize("engine", ["vllm-0.11", "llama.cpp"])
@pytest.mark.parametrize("length", [None, 4096])
def test_a_context_that_was_given_is_not_asked_for(engine: str, length: int | None) -> None:
    """Meta's params.json names none."""
    one = planned("pack:meta-llama--Llama-3.1-8B-original", engine=engine, max_len=length)

    assert (length is None) == any("give --max-len" in note for note in one.assumptions)

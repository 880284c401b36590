"""The checkpoints that are damaged: packs of every kind, and language models among the types."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

from fixtures.models import rows, unpacked
from tests.checks.matrix.whole import Whole, single, whole_of

# dense, mixtures, quantized in six ways, encoders, with vision, Meta's layouts, an adapter
SMALL = """
    Qwen--Qwen2-7B Qwen--Qwen3-8B google--gemma-2-9b tiiuae--falcon-7b openai-community--gpt2
    microsoft--Phi-3-mini-4k-instruct meta-llama--Llama-3.2-1B mistralai--Mistral-7B-Instruct-v0.3
    mistralai--Mixtral-8x7B-v0.1 Qwen--Qwen1.5-MoE-A2.7B deepseek-ai--DeepSeek-V2-Lite
    openai--gpt-oss-120b hugging-quants--Meta-Llama-3.1-8B-Instruct-GPTQ-INT4
    hugging-quants--Meta-Llama-3.1-8B-Instruct-AWQ-INT4 unsloth--Meta-Llama-3.1-8B-bnb-4bit
    RedHatAI--Meta-Llama-3.1-8B-Instruct-FP8 RedHatAI--Meta-Llama-3.1-8B-Instruct-FP8-dynamic
    google-bert--bert-base-uncased google--vit-base-patch16-224 google-t5--t5-base
    openai--whisper-large-v3 Qwen--Qwen2-VL-7B-Instruct meta-llama--Llama-2-7b-original
    meta-llama--Llama-3.1-70B-original-mp8 example--Llama-3.1-8B-lora-r16
""".split()
LARGE = """
    deepseek-ai--DeepSeek-V3 moonshotai--Kimi-K2-Instruct Qwen--Qwen3-Next-80B-A3B-Instruct
    Qwen--Qwen3-30B-A3B-Instruct-2507-FP8
""".split()


def of_packs(models: Iterable[str]) -> Iterator[tuple[str, Whole]]:
    """Packs by name."""
    return ((model, whole_of(model)) for model in models)


def of_types(count: int, seed: int) -> Iterator[tuple[str, Whole]]:
    """So many language models of all the types, chosen by chance; heads are as config ties them."""
    types = [one for one in rows() if "ForCausalLM" in one[1]]
    for name, class_, config, stored, _ in random.Random(seed).sample(types, count):
        tensors = {one: ("BF16", tuple(shape)) for one, shape in unpacked(stored).items()}
        if config.get("tie_word_embeddings") is not False:
            tensors = {one: held for one, held in tensors.items() if "lm_head" not in one}
        yield name, single(tensors, config=config | {"architectures": [class_]})

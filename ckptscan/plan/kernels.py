"""What an engine can't run: formats that it does not read, cards that it or a format needs more of.

Sources: vLLM 0.11 and SGLang 0.5.9, their lists of quantizations and checks of capability;
transformers 4.57, quantizers/auto.py; llama.cpp, convert_hf_to_gguf.py, dequant_model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar

from ckptscan.hardware import Card
from ckptscan.plan.model import Model
from ckptscan.plan.spread import family_of, spreads

T = TypeVar("T")
# beginning of a format's name -> families of engines that read it; all others read all of them
READ_BY = {
    "mlx": (),
    "aqlm": ("vllm", "transformers"),
    "hqq": ("vllm", "transformers"),
    "awq-gemv": (),
    "awq": ("vllm", "sglang", "transformers"),
    "bnb": ("vllm", "sglang", "transformers"),
    "bitsandbytes": ("vllm", "sglang", "transformers"),
    "gguf": ("vllm", "sglang", "llama.cpp"),
    "nvfp4": ("vllm", "sglang"),
    **dict.fromkeys(
        ("eetq", "quanto", "spqr", "vptq", "higgs", "fp-quant", "bitnet"), ("transformers",)
    ),
}
FAMILIES = ("vllm", "sglang", "llama.cpp", "transformers")
# beginning of a format's name -> least compute capability; FP8 runs through Marlin from 8.0 on
LEAST_CAPABILITY = {"fp8": 80, "nvfp4": 80, "mxfp4": 80, "int8": 75, "awq": 75, "gptq": 60}
FIRST_BF16 = 80
OLDEST = 70  # compute capability that vLLM and SGLang ask for


def unrunnable(
    model: Model, card: Card | None, engine: str, unknown: frozenset[str]
) -> Iterator[str]:
    """Why a model can't be run, however much memory there is."""
    yield from unread(model, engine, unknown)
    if not spreads(engine):
        yield from too_old(model, card)
    unserved = unserved_card(card, engine)
    if unserved:
        yield unserved


def unread(model: Model, engine: str, unknown: frozenset[str]) -> Iterator[str]:
    """Why an engine does not read a model's formats, and who does; `unknown` are its version's."""
    family = family_of(engine)
    for name in _formats(model):
        readers = _readers(name)
        if family in readers and name not in unknown:
            continue
        others = [f"newer {one}" if one == family else one for one in readers]
        can = f"{' and '.join(others)} can" if others else "no engine planned here can"
        yield f"{engine} has no kernel for {name} weights; {can} read them"


def too_old(model: Model, card: Card | None) -> Iterator[str]:
    """Why a card does not compute in the formats of a model."""
    for name in _formats(model):
        least = _of(LEAST_CAPABILITY, name) or 0
        if card is not None and 0 < card.capability < least:
            has = f"{card.name} has {_written(card.capability)}"
            yield f"{name} needs compute capability {_written(least)}, {has}"


def unserved_card(card: Card | None, engine: str) -> str:
    """Why an engine does not run on a card at all; empty where it does."""
    if card is None or spreads(engine):
        return ""
    if card.is_apple:
        return f"{engine} does not run on {card.name}; llama.cpp and transformers do"
    if 0 < card.capability < OLDEST:
        has = f"{card.name} has {_written(card.capability)}"
        return f"{engine} needs compute capability {_written(OLDEST)}, {has}; llama.cpp runs on it"
    return ""


def unrunnable_dtype(model: Model, card: Card | None, asked: str) -> str:
    """What to change where a card computes no BF16; empty where nothing is."""
    is_bf16 = asked == "bfloat16" or (asked == "auto" and model.facts.declared_dtype == "bfloat16")
    if card is None or not is_bf16 or not 0 < card.capability < FIRST_BF16:
        return ""
    return f"{card.name} computes no BF16: --dtype half takes as much memory"


def _formats(model: Model) -> tuple[str, ...]:
    """The formats of a model's weights, as stored or as supposed."""
    if model.schemes is not None:
        return model.schemes
    found = model.structure.quantization
    return tuple(one.scheme for one in found.schemes) if found is not None else ()


def _readers(name: str) -> tuple[str, ...]:
    readers = _of(READ_BY, name)
    return FAMILIES if readers is None else readers


def _of(table: Mapping[str, T], name: str) -> T | None:
    """What a table says of the first beginning that a name has."""
    return next((said for start, said in table.items() if name.startswith(start)), None)


def _written(capability: int) -> str:
    return f"{capability // 10}.{capability % 10}"

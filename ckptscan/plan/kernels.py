"""What an engine can't run: formats that it has no kernel for, cards that lack an instruction."""

from __future__ import annotations

from collections.abc import Iterator

from ckptscan.hardware import Card
from ckptscan.plan.model import Model

# formats of other programs, which neither vLLM nor SGLang reads (their lists of quantizations)
FOREIGN = frozenset(
    "mlx eetq quanto spqr vptq higgs fp-quant bitnet awq-gemv awq-gemv-fast".split()
)
# scheme's beginning -> least compute capability; FP8 runs through Marlin from 8.0 on
LEAST_CAPABILITY = {"fp8": 80, "nvfp4": 80, "mxfp4": 80, "int8": 75, "awq": 75, "gptq": 60}
FIRST_BF16 = 80


def unrunnable(
    model: Model, card: Card | None, engine: str, unknown: frozenset[str]
) -> Iterator[str]:
    """Why the engine can't run the model's format on a card; nothing where it can."""
    found = model.structure.quantization
    stored = tuple(one.scheme for one in found.schemes) if found is not None else ()
    for name in stored if model.schemes is None else model.schemes:
        if name in FOREIGN or name in unknown:
            yield f"{engine} has no kernel for {name} weights"
        least = next((n for start, n in LEAST_CAPABILITY.items() if name.startswith(start)), 0)
        if card is not None and 0 < card.capability < least:
            has = f"{card.name} has {_written(card.capability)}"
            yield f"{name} needs compute capability {_written(least)}, {has}"


def unrunnable_dtype(model: Model, card: Card | None, asked: str) -> str:
    """What to change where a card computes no BF16; empty where nothing is."""
    is_bf16 = asked == "bfloat16" or (asked == "auto" and model.facts.declared_dtype == "bfloat16")
    if card is None or not is_bf16 or not 0 < card.capability < FIRST_BF16:
        return ""
    return f"{card.name} computes no BF16: --dtype half takes as much memory"


def _written(capability: int) -> str:
    return f"{capability // 10}.{capability % 10}"

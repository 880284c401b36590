"""A model as it is supposed to be -> its plan: what-ifs first, then the engine or training."""

from __future__ import annotations

from functools import partial

from ckptscan.errors import UsageError
from ckptscan.plan.engines import engine_named
from ckptscan.plan.model import Model
from ckptscan.plan.sections import with_sections
from ckptscan.plan.training import train
from ckptscan.plan.values import Ask, MemoryPlan
from ckptscan.plan.whatif import fitted, parse_recipe, requantized

# engines that lay weights out by themselves -> what they are told instead of a what-if
_OF_THEIR_OWN = {
    "llama.cpp": "--outtype names the file's format, as q4_k_m",
    "transformers": "plan what-ifs with --engine vllm-0.11 or sglang-0.5",
}


def planned(model: Model, ask: Ask) -> MemoryPlan:
    """The plan of a model as it is supposed to be, without advice."""
    what_if, name = ask.what_if, engine_named(ask.engine).name
    if name in _OF_THEIR_OWN and (what_if.quantize or what_if.lora_rank or what_if.fits):
        raise UsageError(f"{name} does not take what-ifs of weights", _OF_THEIR_OWN[name])
    if what_if.fits:
        return fitted(model, ask, partial(planned, model))
    if what_if.quantize is not None:
        model = requantized(model, parse_recipe(what_if.quantize))
    if ask.train is not None:
        return train(model, ask, ask.train)
    return with_sections(model, engine_named(ask.engine).plan(model, ask))

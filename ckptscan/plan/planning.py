"""A model as it is supposed to be -> its plan: what-ifs first, then the engine or training."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from ckptscan.errors import UsageError
from ckptscan.plan.cachedtypes import refuse_cache_dtype
from ckptscan.plan.engines import engine_named, spoken_for
from ckptscan.plan.ggml import MIXES
from ckptscan.plan.lora import refuse_targets
from ckptscan.plan.model import Model
from ckptscan.plan.sections import with_sections
from ckptscan.plan.spread import spreads
from ckptscan.plan.training import train
from ckptscan.plan.values import Ask, MemoryPlan
from ckptscan.plan.whatif import fitted, parse_recipe, requantized
from ckptscan.structure import Structure
from ckptscan.structure.adapters import find_adapter

BEFORE_COPIES = ("vllm-0.6", "vllm-0.7")  # --data-parallel-size came with V1
SUPPOSED = "no such checkpoint was read: weights are sized as if they were quantized"


def model_of(structure: Structure) -> Model:
    """The model of a checkpoint; raises UsageError where there is none to plan for."""
    if not structure.tensors:
        raise UsageError("there is no tensor to plan for")
    if not any(end.role.name.startswith("lora.") for end in structure.meanings.values()):
        return Model.of(structure)
    found = find_adapter(structure.families, structure.checkpoint.config)
    base = found.base[:120] if found is not None and found.base else "its base model"
    rank = max(found.ranks) if found is not None else "RANK"
    raise UsageError("this is an adapter, not a model", f"plan for {base} with --lora {rank}")


def planned(model: Model, ask: Ask) -> MemoryPlan:
    """The plan of a model as it is supposed to be, without advice."""
    refuse_targets(ask.what_if.lora_targets)
    if ask.train is None:
        ask = _as_engine_takes_it(model, ask)
    if ask.what_if.fits:
        return fitted(model, ask, partial(planned, model))
    if ask.what_if.quantize is not None:
        model = _supposed(model, ask.what_if.quantize)
    if ask.train is not None:
        return train(model, ask, ask.train)
    made = engine_named(ask.engine).plan(model, ask)
    unserved = _unserved(model)
    supposed = [] if model.schemes is None else [SUPPOSED]
    notes = (*spoken_for(ask.engine), *made.assumptions, *supposed, *filter(None, [unserved]))
    expected = () if unserved else made.expected
    told = replace(made, assumptions=notes, expected=expected, unserved=unserved)
    if model.facts.unmodelled_cache:
        told = _without_cache(told, model.facts.unmodelled_cache)
    return with_sections(model, told)


def _without_cache(made: MemoryPlan, why: str) -> MemoryPlan:
    """A plan that foretells nothing of the cache: only what is loaded is known."""
    known = {name: value if name == "model_loading_gib" else None
             for name, value in made.predictions.items()}  # fmt: skip
    unsure = made.kv._replace(label="assumed", longest=0)
    return replace(made, kv=unsure, predictions=known, unmodelled=why)


def _supposed(model: Model, recipe: str) -> Model:
    """The model in other formats; made once, as advice and searches ask for it many times."""
    if recipe not in model.supposed:
        model.supposed[recipe] = requantized(model, parse_recipe(recipe))
    return model.supposed[recipe]


def _as_engine_takes_it(model: Model, ask: Ask) -> Ask:
    """What was asked, as the engine calls it; raises UsageError for what it has no use for."""
    name, what_if, local = engine_named(ask.engine).name, ask.what_if, ask.local
    refuse_cache_dtype(name, ask.kv_dtype, model)
    if name in BEFORE_COPIES and max(ask.parallel.dp, ask.parallel.ep) > 1:
        raise UsageError(f"{name} has no --dp and no --ep", "vllm-0.11 and sglang-0.5 have both")
    if spreads(name) and what_if.lora_rank:
        raise UsageError(f"{name} keeps no room for adapters", "it loads each as it comes")
    if spreads(name) and ask.kv_bytes is not None:
        raise UsageError(f"{name} takes no cache of a given size",
                         "its cache is that of --requests of --max-len")  # fmt: skip
    if name != "llama.cpp" or not (what_if.quantize or what_if.fits):
        return ask
    mix = (what_if.quantize or "").strip().lower()
    if what_if.fits or mix not in MIXES:
        raise UsageError(
            "llama.cpp runs GGUF files, whose formats are mixes",
            f"--quantize takes {', '.join(MIXES)} here; vllm, sglang and transformers take others",
        )
    if local.outtype not in (None, mix):
        raise UsageError(f"--quantize {mix} and --outtype {local.outtype} differ", "say one")
    return replace(ask, what_if=what_if._replace(quantize=None), local=local._replace(outtype=mix))


def _unserved(model: Model) -> str:
    """Why no engine serves the model, of which the weights alone count; empty where some do."""
    if model.structure.checkpoint.configs:
        return "a pipeline of components, which no engine planned here serves; all are counted"
    if not model.attention and not model.inventory.of_role("embedding"):
        return "no language model, so that none of these engines serves it"
    return ""

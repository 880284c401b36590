"""Which dtypes of the cache each engine takes, so that none is planned that it would refuse.

Sources: vLLM 0.6.3 engine/arg_utils.py, 0.11 and later config/cache.py (CacheDType); SGLang 0.5.9
srt/server_args.py; llama.cpp common/arg.cpp. transformers keeps the model's own dtype.
"""

from __future__ import annotations

from collections.abc import Mapping

from ckptscan.errors import UsageError
from ckptscan.plan.kvcache import KV_BITS
from ckptscan.plan.model import Model
from ckptscan.plan.spread import family_of

_PLAIN = ("auto", "fp8", "fp8_e4m3", "fp8_e5m2")
_V1 = (*_PLAIN, "bfloat16", "fp8_inc", "fp8_ds_mla")
_PACKED = ("float16", "nvfp4", "int8_per_token_head", "fp8_per_token_head")
_WHOLE = ("auto", "float16", "bfloat16", "float32")
# engine -> what it takes; of an engine's versions the first that the name begins with
TAKEN: Mapping[str, tuple[str, ...]] = {
    "vllm-0.6": _PLAIN,
    "vllm-0.7": _PLAIN,
    "vllm-0.11": _V1,
    "vllm-0.14": _V1,
    "vllm": (*_V1, *_PACKED),
    "sglang": (*_PLAIN, "bfloat16", "bf16"),
    "llama.cpp": (*_WHOLE, "f16", "bf16", "f32", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl"),
    "transformers": _WHOLE,
}


def refuse_cache_dtype(engine: str, asked: str, model: Model) -> None:
    """Raise UsageError for a dtype of the cache that the engine, or the model, has no use for."""
    taken = _taken(engine)
    if asked in KV_BITS and asked not in taken:
        others = [name for name in TAKEN if asked in TAKEN[name]]
        who = f"; {', '.join(others)} do" if others else ""
        raise UsageError(f"{engine} keeps no cache in {asked}", f"it takes {', '.join(taken)}{who}")
    if asked == "fp8_ds_mla" and not any(one.latent is not None for one in model.attention):
        raise UsageError("fp8_ds_mla is for latent attention, which this model has none of",
                         "say fp8")  # fmt: skip


def _taken(engine: str) -> tuple[str, ...]:
    if engine in TAKEN:
        return TAKEN[engine]
    return next(taken for name, taken in TAKEN.items() if name == family_of(engine))

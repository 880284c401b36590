"""vLLM from 0.21 on: loads with max_split_size_mb 20, derives its tokens from concurrency.

Sources: vllm 0.21.0 and 0.24.0, v1/worker/gpu_worker.py (_scoped_allocator_max_split), v1/core/
kv_cache_utils.py (tokens = concurrency x context), platforms/interface.py. Logs of this regime
have two decimals: they bear the allocator out (2.98 GiB of Qwen2.5-1.5B under 0.28), no more.
"""

from dataclasses import replace

from ckptscan.plan.engines import vllm_0_20

ENGINE = replace(
    vllm_0_20.ENGINE,
    name="vllm-0.21",
    covers="0.21 and later",
    since=(0, 21),
    before=(99, 0),
    max_split=20 << 20,
    derives_tokens=True,
)

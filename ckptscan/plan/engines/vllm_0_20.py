"""vLLM 0.20: takes 0.92 of a card and sets memory for CUDA graphs aside.

Sources: vllm 0.20.0, config/cache.py, envs.py (VLLM_MEMORY_PROFILER_ESTIMATE_CUDAGRAPHS).
"""

from dataclasses import replace

from ckptscan.plan.engines import vllm_0_19

ENGINE = replace(
    vllm_0_19.ENGINE,
    name="vllm-0.20",
    covers="0.20",
    since=(0, 20),
    before=(0, 21),
    utilization=0.92,
    graphs=0.5,
)

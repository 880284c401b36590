"""vLLM 0.12 to 0.17: groups of caches widen, states and caches have the dtype that configs ask for.

Sources: vllm 0.12.0 to 0.17.1, v1/core/kv_cache_utils.py, model_executor/models/config.py,
utils/torch_utils.py (resolve_kv_cache_dtype_string), v1/worker/gpu_model_runner.py.
"""

from dataclasses import replace

from ckptscan.plan.engines import vllm_0_11

ENGINE = replace(
    vllm_0_11.ENGINE,
    name="vllm-0.14",
    covers="0.12 to 0.17",
    since=(0, 12),
    before=(0, 18),
    widens=1.25,
    reads_scheme=True,
    reads_state_dtype=True,
    keeps_all_states=True,  # model_executor/models/config.py: mamba_cache_mode "all"
    loading="Model loading took {loaded:.2f} GiB memory and ... seconds",
)

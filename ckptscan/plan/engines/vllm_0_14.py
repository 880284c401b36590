"""vLLM 0.11.1 to 0.17: caches in wider groups, and in the dtypes that configs ask for.

Sources: vllm 0.12.0 to 0.17.1, v1/core/kv_cache_utils.py, model_executor/models/config.py,
utils/torch_utils.py (resolve_kv_cache_dtype_string), v1/worker/gpu_model_runner.py; platforms/
cuda.py (get_valid_backends imports every kernel) and v1/attention/backends/mla/flashinfer_mla.py,
which takes 128 MiB as it is imported.
"""

from dataclasses import replace

from ckptscan.plan.engines import vllm_0_11

ENGINE = replace(
    vllm_0_11.ENGINE,
    name="vllm-0.14",
    covers="0.11.1 to 0.17",
    since=(0, 11, 1),
    before=(0, 18),
    widens=1.25,
    budgets_encoder=True,  # 0.12: CrossAttentionSpec, as config/scheduler.py no longer says 1,500
    latent_workspace=128 << 20,
    widens_tables=True,  # layers/rotary_embedding/deepseek_scaling_rope.py
    reads_scheme=True,
    reads_state_dtype=True,
    keeps_all_states=True,  # model_executor/models/config.py: mamba_cache_mode "all"
    loading="Model loading took {loaded:.2f} GiB memory and ... seconds",
)

"""vLLM 0.8, where the engine called V1 became the default, to 0.11.0.

Sources: vllm 0.11.0, v1/worker/gpu_worker.py, v1/core/kv_cache_utils.py, attention/layer.py,
model_executor/models/config.py; seven scalars a layer explain 14.9889 GiB of Llama-3.1-8B.
"""

from ckptscan.plan.engines.vllm import Vllm
from ckptscan.plan.stages import remainder_before_last

ENGINE = Vllm(
    name="vllm-0.11",
    covers="0.8 to 0.11.0 (V1)",
    since=(0, 8),
    before=(0, 11, 1),
    stages=remainder_before_last,
    scalars=7,
    mrope_rows=4,
    non_torch=(0.13, 0.55),
    loading="Model loading took {loaded:.4f} GiB and ... seconds",
)

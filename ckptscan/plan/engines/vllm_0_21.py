"""vLLM from 0.21 on: loads with max_split_size_mb 20, budgets CUDA graphs, derives its tokens.

Sources: vllm 0.21.0, v1/worker/gpu_worker.py (_scoped_allocator_max_split), v1/core/
kv_cache_utils.py (tokens = concurrency x context), platforms/interface.py. No log with four
decimals of this allocator regime is public: the rounding is modelled, not verified.
"""

from ckptscan.plan.engines.vllm import Vllm
from ckptscan.plan.stages import remainder_before_last

ENGINE = Vllm(
    name="vllm-0.21",
    covers="0.21 and later (V1)",
    since=(0, 21),
    before=(99, 0),
    stages=remainder_before_last,
    scalars=7,
    mrope_rows=4,
    max_split=20 << 20,
    derives_tokens=True,
    widens=True,
    reads_scheme=True,
    reads_state_dtype=True,
    graphs=0.5,
    non_torch=(0.13, 0.55),
    loading="Model loading took {loaded:.2f} GiB memory and ... seconds",
)

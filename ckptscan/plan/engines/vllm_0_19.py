"""vLLM 0.18 and 0.19: groups of caches widen where kinds differ by less than half.

Sources: vllm 0.18.1 and 0.19.1, v1/core/kv_cache_utils.py.
"""

from dataclasses import replace

from ckptscan.plan.engines import vllm_0_14
from ckptscan.plan.nvfp4 import Kernels

ENGINE = replace(
    vllm_0_14.ENGINE,
    name="vllm-0.19",
    covers="0.18 and 0.19",
    since=(0, 18),
    before=(0, 20),
    widens=1.5,
    fp4_kernels=Kernels("cutlass-aligned", "trtllm"),  # fused_moe/oracle/nvfp4.py
    groups_chunks=True,  # envs.py: VLLM_ALLOW_CHUNKED_LOCAL_ATTN_WITH_HYBRID_KV_CACHE
)

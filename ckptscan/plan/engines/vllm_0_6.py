"""vLLM until 0.6, the engine called V0: it profiles with 256 sequences and swaps to the host.

Sources: vllm 0.6.3.post1, worker/worker.py, worker/cache_engine.py, distributed/utils.py.
"""

from ckptscan.plan.engines.vllm import Vllm
from ckptscan.plan.stages import remainder_last

ENGINE = Vllm(
    name="vllm-0.6",
    covers="0.2 to 0.6 (V0)",
    since=(0, 2),
    before=(0, 7),
    is_v0=True,
    stages=remainder_last,
    scalars=0,
    mrope_rows=1,
    long_copies=2,  # 0.6.3 Phi3LongRoPEScaledRotaryEmbedding keeps short, long and both joined
    fuses_latent=False,
    keeps_latents=False,
    unknown_schemes=frozenset(("nvfp4", "mxfp4")),
    non_torch=(0.35, 3.58),
    loading="Loading model weights took {loaded:.4f} GB",
)

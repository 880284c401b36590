"""vLLM 0.7: still V0, but latent attention keeps latents (0.7.1) and tables of RoPE changed.

Sources: vllm 0.7.3, config.py (use_mla), model_executor/layers/rotary_embedding.py: long RoPE
keeps its tables joined alone, MRoPE has four rows of a position. What decoding with latents
multiplies is multiplied beforehand (plan/latent.py).
"""

from dataclasses import replace

from ckptscan.plan.engines import vllm_0_6

ENGINE = replace(
    vllm_0_6.ENGINE,
    name="vllm-0.7",
    covers="0.7 (V0)",
    since=(0, 7),
    before=(0, 8),
    long_copies=1,
    mrope_rows=4,
    keeps_latents=True,
    absorbs_latents=True,
)

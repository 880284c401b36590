"""What engines keep of latent attention beside its weights: forms that decoding multiplies with."""

from __future__ import annotations

from ckptscan.plan.inventory import Module
from ckptscan.structure import Attention

BLOCK = 128  # of FP8 scales


def is_fp8(kv_b: Module) -> bool:
    """Whether the projection from the latent is stored in FP8."""
    return any(leaf.dtype.startswith("F8_E4") for leaf in kv_b.leaves)


def unfolded(one: Attention, tp: int, width: int) -> int:
    """Bytes of one rank of kv_b_proj in a form of its own."""
    if one.latent is None or not one.heads:
        return 0
    latent, heads = one.latent, -(-one.heads // tp)
    return latent.kv_rank * heads * (latent.nope + latent.v) * width


def absorbed(one: Attention, kv_b: Module, tp: int, width: int) -> tuple[int, ...]:
    """What vLLM 0.7 multiplied beforehand: keys into queries, values into outputs.

    vllm 0.7.3, attention/backends/mla/utils.py: the rotary part of queries, kv_b_proj unpacked, and
    both products, which FP8 checkpoints keep in FP8 with a scale for each block.
    """
    if one.latent is None or not one.heads:
        return ()
    latent, heads = one.latent, -(-one.heads // tp)
    asking = latent.q_rank or one.hidden or 0
    products = (asking * heads * latent.kv_rank, heads * latent.kv_rank * (one.hidden or 0))
    unpacked = (unfolded(one, tp, width),) if kv_b.is_packed else ()
    rotary = asking * heads * latent.rope * width
    if not is_fp8(kv_b):
        return (*unpacked, rotary, *(size * width for size in products))
    scales = (size // BLOCK**2 * 4 for size in products)
    return (*unpacked, rotary, *products, *scales)

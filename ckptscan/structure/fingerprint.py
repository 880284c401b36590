"""Geometry: a hash that names and files do not change, and the known model nearest to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ckptscan.structure.attention import Attention
from ckptscan.structure.counting import ends
from ckptscan.structure.feed_forward import FeedForward
from ckptscan.structure.layers import Layers
from ckptscan.structure.tree import Node


class Geometry(NamedTuple):
    """The sizes that a decoder or encoder is described by; 0 for what it does not have."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    width: int  # of the dense feed-forward
    experts: int
    expert_width: int
    vocabulary: int


# Known shapes, each from its paper. hidden, layers, heads, KV heads, head_dim, FFN, experts,
# expert FFN, vocabulary (rows of the embedding as released)
_KNOWN = """
GPT-2            768 12 12 12 64 3072 0 0 50257        Radford et al. 2019, table 2
GPT-2-medium     1024 24 16 16 64 4096 0 0 50257       Radford et al. 2019, table 2
GPT-2-large      1280 36 20 20 64 5120 0 0 50257       Radford et al. 2019, table 2
GPT-2-XL         1600 48 25 25 64 6400 0 0 50257       Radford et al. 2019, table 2
BERT-base        768 12 12 12 64 3072 0 0 30522        arXiv 1810.04805, section 3
BERT-large       1024 24 16 16 64 4096 0 0 30522       arXiv 1810.04805, section 3
Llama-7B         4096 32 32 32 128 11008 0 0 32000     arXiv 2302.13971, table 2; 2307.09288
Llama-13B        5120 40 40 40 128 13824 0 0 32000     arXiv 2302.13971, table 2; 2307.09288
Llama-30B        6656 60 52 52 128 17920 0 0 32000     arXiv 2302.13971, table 2
Llama-65B        8192 80 64 64 128 22016 0 0 32000     arXiv 2302.13971, table 2
Llama-2-70B      8192 80 64 8 128 28672 0 0 32000      arXiv 2307.09288, table 1
Llama-3-8B       4096 32 32 8 128 14336 0 0 128256     arXiv 2407.21783, table 3
Llama-3-70B      8192 80 64 8 128 28672 0 0 128256     arXiv 2407.21783, table 3
Llama-3.1-405B   16384 126 128 8 128 53248 0 0 128256  arXiv 2407.21783, table 3
Llama-3.2-1B     2048 16 32 8 64 8192 0 0 128256       Llama 3.2 model card
Llama-3.2-3B     3072 28 24 8 128 8192 0 0 128256      Llama 3.2 model card
TinyLlama-1.1B   2048 22 32 4 64 5632 0 0 32000        arXiv 2401.02385, table 1
Mistral-7B       4096 32 32 8 128 14336 0 0 32000      arXiv 2310.06825, table 1
Mixtral-8x7B     4096 32 32 8 128 0 8 14336 32000      arXiv 2401.04088, table 1
Mixtral-8x22B    6144 56 48 8 128 0 8 16384 32768      Mixtral 8x22B release
Yi-6B            4096 32 32 4 128 11008 0 0 64000      arXiv 2403.04652, table 1
Yi-34B           7168 60 56 8 128 20480 0 0 64000      arXiv 2403.04652, table 1
Falcon-7B        4544 32 71 1 64 18176 0 0 65024       arXiv 2311.16867, table 14
Phi-3-mini       3072 32 32 32 96 8192 0 0 32064       arXiv 2404.14219, section 2
Gemma-2-2B       2304 26 8 4 256 9216 0 0 256000       arXiv 2408.00118, table 1
Gemma-2-9B       3584 42 16 8 256 14336 0 0 256000     arXiv 2408.00118, table 1
Gemma-2-27B      4608 46 32 16 128 36864 0 0 256000    arXiv 2408.00118, table 1
Qwen1.5-7B       4096 32 32 32 128 11008 0 0 151936    Qwen1.5 release
Qwen2-0.5B       896 24 14 2 64 4864 0 0 151936        arXiv 2407.10671, table 1
Qwen2-1.5B       1536 28 12 2 128 8960 0 0 151936      arXiv 2407.10671, table 1
Qwen2-7B         3584 28 28 4 128 18944 0 0 152064     arXiv 2407.10671, table 1
Qwen2-72B        8192 80 64 8 128 29568 0 0 152064     arXiv 2407.10671, table 1
Qwen2-57B-A14B   3584 28 28 4 128 0 64 2560 151936     arXiv 2407.10671, table 1
Qwen1.5-MoE-A2.7B 2048 24 16 16 128 0 60 1408 151936   Qwen1.5-MoE release
Qwen2.5-3B       2048 36 16 2 128 11008 0 0 151936     arXiv 2412.15115, table 1
Qwen2.5-14B      5120 48 40 8 128 13824 0 0 152064     arXiv 2412.15115, table 1
Qwen2.5-32B      5120 64 40 8 128 27648 0 0 152064     arXiv 2412.15115, table 1
Qwen3-0.6B       1024 28 16 8 128 3072 0 0 151936      arXiv 2505.09388, table 1
Qwen3-1.7B       2048 28 16 8 128 6144 0 0 151936      arXiv 2505.09388, table 1
Qwen3-4B         2560 36 32 8 128 9728 0 0 151936      arXiv 2505.09388, table 1
Qwen3-8B         4096 36 32 8 128 12288 0 0 151936     arXiv 2505.09388, table 1
Qwen3-14B        5120 40 40 8 128 17408 0 0 151936     arXiv 2505.09388, table 1
Qwen3-32B        5120 64 64 8 128 25600 0 0 151936     arXiv 2505.09388, table 1
Qwen3-30B-A3B    2048 48 32 4 128 0 128 768 151936     arXiv 2505.09388, table 2
Qwen3-235B-A22B  4096 94 64 4 128 0 128 1536 151936    arXiv 2505.09388, table 2
gpt-oss-20b      2880 24 64 8 64 0 32 2880 201088      arXiv 2508.10925, table 1
gpt-oss-120b     2880 36 64 8 64 0 128 2880 201088     arXiv 2508.10925, table 1
DeepSeek-V2-Lite 2048 27 16 16 192 10944 64 1408 102400   arXiv 2405.04434, appendix B
DeepSeek-V3      7168 61 128 128 192 18432 256 2048 129280  arXiv 2412.19437, section 4.2
Kimi-K2          7168 61 64 64 192 18432 384 2048 163840  arXiv 2507.20534, table 2
"""


class Fingerprint(NamedTuple):
    """The sizes of a model, and the known model nearest to it.

    `nearest` is its name and what differs: "Qwen2-7B, vocabulary + 64 rows"; "" where none is
    near. `source` tells where its sizes are published.
    """

    geometry: Geometry | None
    nearest: str = ""
    source: str = ""


def fingerprint(
    main: Node,
    layers: Sequence[Layers],
    attention: Iterable[Attention],
    feed_forward: Iterable[FeedForward],
) -> Fingerprint:
    """The fingerprint of a model, without what drafts tokens."""
    found = _geometry(main, layers, list(attention), list(feed_forward))
    name, source = _nearest(found) if found else ("", "")
    return Fingerprint(found, name, source)


def geometry_hash(main: Node) -> str:
    """16 hex digits that names, files, dtypes and packing do not change.

    SHA-256 over the sorted lines `count x sizes`, one for each logical shape of a parameter, its
    sizes in ascending order.
    """
    import hashlib

    shapes: Counter[tuple[int, ...]] = Counter()
    for end in ends(main):
        if end.each:
            shapes[tuple(sorted(end.shape or (end.each,)))] += end.instances
    lines = sorted(f"{count} x {shape}" for shape, count in shapes.items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _geometry(
    main: Node,
    layers: Sequence[Layers],
    attention: Sequence[Attention],
    feed_forward: Sequence[FeedForward],
) -> Geometry | None:
    """The sizes of the layers that hold most; None without attention of known size."""
    with_heads = {one.container for one in attention if one.heads}
    largest = max(
        (one for one in layers if one.container in with_heads),
        key=lambda one: one.nbytes,
        default=None,
    )
    if largest is None or _is_encoder_decoder(with_heads):
        return None
    own = next(one for one in attention if one.container == largest.container and one.heads)
    dense = [one for one in feed_forward if one.container == largest.container and not one.experts]
    mixed = [one for one in feed_forward if one.container == largest.container and one.experts]
    tables = [end.shape for end in ends(main) if end.role.name == "embedding" and end.shape]
    return Geometry(
        hidden=own.hidden or 0,
        layers=largest.count,
        heads=own.heads or 0,
        kv_heads=own.kv_heads or 0,
        head_dim=own.head_dim or 0,
        width=dense[0].width if dense else 0,
        experts=mixed[0].experts if mixed else 0,
        expert_width=mixed[0].width if mixed else 0,
        vocabulary=max((shape[0] for shape in tables), default=0),
    )


def _is_encoder_decoder(containers: Iterable[str]) -> bool:
    """Whether a model has two stacks of layers, which these few sizes do not describe."""
    segments = [container.split(".") for container in containers]
    return all(any(side in path for path in segments) for side in ("encoder", "decoder"))


def _nearest(found: Geometry) -> tuple[str, str]:
    """The known model of these sizes, and its source; vocabulary or depth alone may differ."""
    best: tuple[int, str, str] | None = None
    for line in _KNOWN.strip().split("\n"):
        name, *rest = line.split(maxsplit=10)
        known = Geometry(*map(int, rest[:9]))
        unlike = [
            field for field in known._fields if getattr(known, field) != getattr(found, field)
        ]
        if bool(found.vocabulary) and (set(unlike) <= {"vocabulary"} or unlike == ["layers"]):
            distance = abs(known.vocabulary - found.vocabulary) + len(unlike)
            if best is None or distance < best[0]:
                best = distance, f"{name}{_difference(known, found)}", rest[9]
    return best[1:] if best else ("", "")


def _difference(known: Geometry, found: Geometry) -> str:
    rows, depth = found.vocabulary - known.vocabulary, found.layers - known.layers
    if depth:
        return f", {abs(depth)} layers {'more' if depth > 0 else 'fewer'}"
    return f", vocabulary {'+' if rows > 0 else '-'} {abs(rows):,} rows" if rows else ""

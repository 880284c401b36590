"""Shapes of the mixers that keep a state: gated delta nets, Mamba, stems of audio encoders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ckptscan.structure.expected.figures import Dims, Figures, one, plus, scaled, times


def of_mixers(path: str, figures: Figures) -> tuple[tuple[Dims, ...], ...]:
    """What the figures allow for the tensor of this path; nothing where they don't speak of it."""
    return (
        *_delta_net(path, figures),
        *_mamba(path, figures),
        *_stem(path, figures),
        *_indexer(path, figures),
    )


def _module(path: str) -> str:
    segments = path.split(".")
    plain = len(segments) > 1 and segments[-1] in ("weight", "bias")
    return segments[-2] if plain else segments[-1]


def _delta_net(path: str, f: Figures) -> Iterator[tuple[Dims, ...]]:
    """Gated delta nets as Qwen3-Next has them (modeling_qwen3_next.py)."""
    key_heads, value_heads = f.first("linear_num_key_heads"), f.first("linear_num_value_heads")
    key_dim, value_dim = f.first("linear_key_head_dim"), f.first("linear_value_head_dim")
    if not key_heads or not value_heads:
        return
    keys, values = times(key_heads, key_dim), times(value_heads, value_dim)
    all_three = plus(scaled(2, keys), values)
    kernel = f.first("linear_conv_kernel_dim")
    made: Mapping[str, tuple[Dims, ...]] = {
        "in_proj_qkvz": (plus(scaled(2, keys), scaled(2, values)), f.hidden),
        "in_proj_qkv": (all_three, f.hidden),
        "in_proj_z": (values, f.hidden),
        "in_proj_ba": (scaled(2, value_heads), f.hidden),
        "in_proj_a": (value_heads, f.hidden),
        "in_proj_b": (value_heads, f.hidden),
        "conv1d": (all_three, one(1, "channel"), kernel),
        "A_log": (value_heads,),
        "dt_bias": (value_heads,),
        "norm": (value_dim,),
        "out_proj": (f.hidden, values),
    }
    found = made.get(_module(path))
    if found is not None:
        yield found


def _mamba(path: str, f: Figures) -> Iterator[tuple[Dims, ...]]:
    """Mamba and Mamba-2 (modeling_mamba.py, modeling_mamba2.py), as the keys of either say."""
    state = f.first("mamba_d_state", "ssm_state_size", "state_size", "d_state")
    if not state:
        return
    expand = f.first("mamba_expand", "expand")
    heads = f.first("mamba_n_heads", "mamba_num_heads", "n_mamba_heads")
    of_heads = times(heads, f.first("mamba_d_head", "mamba_head_dim", "head_dim"))
    inner = (*f.first("mamba_d_ssm", "d_inner"), *times(expand, f.hidden), *of_heads)
    heads = heads or f.heads
    groups = f.first("mamba_n_groups", "n_groups", "mamba_ngroups")
    width = plus(inner, scaled(2, times(groups, state)))
    kernel = f.first("mamba_d_conv", "conv_kernel", "mamba_conv_kernel", "d_conv")
    rank = f.first("mamba_dt_rank", "time_step_rank", "dt_rank")
    made: Mapping[str, list[tuple[Dims, ...]]] = {
        "in_proj": [
            (plus(inner, width, heads), f.hidden),
            (scaled(2, inner), f.hidden),
        ],
        "conv1d": [
            (width, one(1, "channel"), kernel),
            (inner, one(1, "channel"), kernel),
            (width,),
            (inner,),
        ],
        "x_proj": [(plus(rank, scaled(2, state)), inner)],
        "dt_proj": [(inner, rank), (inner,)],
        "out_proj": [(f.hidden, inner)],
        "A_log": [(heads,), (inner, state)],
        "D": [(heads,), (inner,)],
        "dt_bias": [(heads,), (inner,)],
        "norm": [(inner,)],
    }
    yield from made.get(_module(path), ())


def _stem(path: str, f: Figures) -> Iterator[tuple[Dims, ...]]:
    """The two convolutions before an audio encoder (Whisper)."""
    bins = f.first("num_mel_bins", "num_mel_channels", "feature_size")
    if not bins or _module(path) not in ("conv1", "conv2"):
        return
    kernel = one(3, "kernel")
    yield (f.hidden, bins if _module(path) == "conv1" else f.hidden, kernel)
    yield (f.hidden,)


def _indexer(path: str, f: Figures) -> Iterator[tuple[Dims, ...]]:
    """The indexer that chooses what latent attention looks at (DeepSeek-V3.2)."""
    heads, dim = f.first("index_n_heads"), f.first("index_head_dim")
    if not heads or not dim or "indexer" not in path:
        return
    made: Mapping[str, tuple[Dims, ...]] = {
        "wq_b": (times(heads, dim), f.first("q_lora_rank")),
        "wk": (dim, f.hidden),
        "weights_proj": (heads, f.hidden),
        "k_norm": (dim,),
    }
    found = made.get(_module(path))
    if found is not None:
        yield found

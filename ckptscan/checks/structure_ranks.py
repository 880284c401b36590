"""One rank's part of a model that was saved as the whole (S011)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ckptscan.checks.evidence.figures import Stack, is_declared, main_stacks, role_shapes
from ckptscan.checks.values import INFERRED, PROVED, Check, Finding, Subject, Where
from ckptscan.config import Config
from ckptscan.late import Late
from ckptscan.structure import Structure
from ckptscan.structure.counting import ends
from ckptscan.structure.scene import tower_of

# mp_rank_00.layers.0, shard_3_of_8.weight, model.tp_rank_1
_PART = Late(r"(?i)(?:^|[._])(?:mp|tp|pp|ep)_?rank_?(?:\d+|\*)(?=[._]|$)|[._](?:\d+|\*)-of-\d+")
_SIZES = Late(r"(?i)size|dim|width|d_model|n_embd")  # of another part, or of a bottleneck
_LONGEST = 1024
_MOST = 8
_RANKS = (2, 4, 8, 16, 32)
_HEADS = ("num_attention_heads", "n_heads", "n_head", "num_heads")
_KV = ("num_key_value_heads", "n_kv_heads", "num_kv_heads", "n_head_kv", "multi_query_group_num")
_HEAD_DIM = ("head_dim", "kv_channels", "d_kv", "head_size", "attention_head_dim")
_HIDDEN = ("hidden_size", "d_model", "n_embd", "dim")
_WIDTH = ("intermediate_size", "ffn_dim", "d_ff", "n_inner", "ffn_hidden_size")
_ALONE = frozenset({"q", "o", "qkv"})  # a part of these alone is none of a smaller model
_ATTENTION = frozenset({"q", "k", "v", "o", "qkv", "q_b", "kv_b"})


def _parts(subject: Subject) -> Iterator[Finding]:
    """One rank's part of a model is saved as if it were the whole.

    What it finds: Ranks in names (`mp_rank_00`), or projections of attention and feed-forward,
    embedding and head, that hold a half, a quarter or an eighth of what config declares, all the
    same part of it.
    Why it matters: The part loads nowhere, and the other ranks' parts are lost unless somebody
    kept them (KempnerForge#202).
    Example: o_proj takes in 2,048, config has 32 heads of 128.
    What to do: Gather the parts of all ranks before saving.
    """
    structure = subject.structure
    named = [one for one in structure.families if _PART.search(one.pattern[:_LONGEST])]
    if named and all(one.copies == 1 for one in named):
        count = sum(one.count for one in named)
        yield PARTS.finding(
            f"{count:,} tensors named for a rank, such as {named[0].pattern[:200]}",
            *(
                Where(pattern=one.pattern, indices=tuple(map(str, one.axes)), count=one.count)
                for one in named[:_MOST]
            ),
            confidence=PROVED,
            expected="none",
            seen=count,
        )
    if structure.adapter is None and not structure.checkpoint.configs:
        tables = _tables(structure)
        for stack in main_stacks(structure):
            yield from _cut(structure, stack, tables if stack.tower == "text" else {})


def _cut(
    structure: Structure, stack: Stack, tables: Mapping[str, tuple[int, ...]]
) -> Iterator[Finding]:
    """Projections of one stack that hold the same part of what its config declares."""
    wanted = _declared(stack.config)
    if not wanted:
        return
    by_ranks: dict[int, list[str]] = {}
    for kind in stack.kinds:
        shapes = {**role_shapes(kind), **tables}
        for role, (axis, size) in wanted.items():
            shape = shapes.get(role, ())
            held = shape[axis] if len(shape) == 2 else size
            ranks = size // held if held and size % held == 0 else 1
            if ranks in _RANKS and role not in by_ranks.get(ranks, ()):
                by_ranks.setdefault(ranks, []).append(role)
    for ranks, roles in by_ranks.items():
        told = ", ".join(roles)
        sizes = {wanted[role][1] // ranks for role in roles}
        if all(is_declared(structure, size, _SIZES) for size in sizes):
            continue
        if (len(roles) > 1 and _ATTENTION.intersection(roles)) or _ALONE.intersection(roles):
            yield PARTS.finding(
                f"{stack.container}: {told} hold 1 of {ranks} parts of what config says",
                Where(pattern=stack.path, indices=(str(stack.indices),), count=len(stack.indices)),
                confidence=INFERRED,
                hint="gather the parts of all ranks before saving",
                expected={role: wanted[role][1] for role in roles},
                seen={role: wanted[role][1] // ranks for role in roles},
            )
            return


def _tables(structure: Structure) -> Mapping[str, tuple[int, ...]]:
    """The shapes of embedding and head of the language model."""
    return {
        end.role.name: end.shape
        for end in ends(structure.main)
        if end.role.name in ("embedding", "lm_head")
        and end.shape is not None
        and tower_of(end.family.pattern) == "text"
    }


def _declared(config: Config) -> dict[str, tuple[int, int]]:
    """For each role, the axis that ranks cut, 0 for out and 1 for in, and its whole size."""
    found: dict[str, tuple[int, int]] = {}
    heads, hidden = config.number(*_HEADS), config.number(*_HIDDEN)
    width, vocabulary = config.number(*_WIDTH), config.number("vocab_size")
    if heads is not None and hidden is not None:
        found |= _of_attention(config, heads, hidden)
    if width is not None:
        found |= {"gate": (0, width), "up": (0, width), "down": (1, width)}
        found["gate_up"] = (0, 2 * width)
    if vocabulary is not None:
        found |= {"embedding": (0, vocabulary), "lm_head": (0, vocabulary)}
    return found


def _of_attention(config: Config, heads: int, hidden: int) -> dict[str, tuple[int, int]]:
    nope, rope = config.number("qk_nope_head_dim"), config.number("qk_rope_head_dim")
    own = config.number("v_head_dim")
    if nope is not None and rope is not None and own is not None:
        wide = heads * (nope + rope)
        latent = {"kv_b": (0, heads * (nope + own)), "o": (1, heads * own)}
        return latent | {"q": (0, wide), "q_b": (0, wide)}
    dim = config.number(*_HEAD_DIM) or (hidden // heads if hidden % heads == 0 else 0)
    if not dim:
        return {}
    found = {"q": (0, heads * dim), "o": (1, heads * dim)}
    groups, rank = config.number("o_groups"), config.number("o_lora_rank")
    if groups is not None and rank is not None:
        found["o"] = (1, groups * rank)  # an output of two steps, as DeepSeek-V4's
    kv_heads = config.number(*_KV)
    if config.flag("multi_query") and not config.flag("new_decoder_architecture"):
        kv_heads = 1
    if kv_heads is not None:
        found |= {"k": (0, kv_heads * dim), "v": (0, kv_heads * dim)}
        found["qkv"] = (0, (heads + 2 * kv_heads) * dim)
    return found


PARTS = Check("S011", "rank-saved-as-whole", "warning", _parts)
CHECKS: tuple[Check, ...] = (PARTS,)

"""config.json's widths, heads and ranks against the shapes (C005)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ckptscan.checks.evidence.figures import (
    Shape,
    Stack,
    is_causal,
    is_declared,
    main_stacks,
    role_shapes,
    shape_of,
)
from ckptscan.checks.values import INFERRED, Check, Finding, Subject, Where
from ckptscan.config import Config
from ckptscan.late import Late
from ckptscan.structure import Attention, End, FeedForward, Structure
from ckptscan.structure.counting import ends
from ckptscan.structure.expected import keys

_SIZES = Late(r"(?i)hidden|size|dim|width|latents|d_model|embed|ffn")  # of another part
_LONGEST = 512
# model types whose class takes half of what config declares
_HALVED = frozenset({"recurrent_gemma"})
_ATTENDING = ("MHA", "GQA", "MQA", "MLA")


def _sizes(subject: Subject) -> Iterator[Finding]:
    """Widths or heads in config.json are not those of the shapes.

    What it finds: hidden_size, intermediate_size, numbers and widths of heads, and the ranks of
    latent attention that no shape of the layers bears out, known relations apart (Qwen-1 declares
    twice the rows, Llama's width follows from the 2/3 rule, experts have a width of their own).
    Why it matters: A loader that builds the model from the config fails on the first weight; with
    other heads it does not fail and computes nonsense (huggingface/transformers#46211,
    Fast-LLM#102).
    Example: num_key_value_heads is 4, k_proj has 1,024 rows: 8 heads of 128.
    What to do: Take the config that belongs to these weights.
    """
    structure = subject.structure
    for stack in main_stacks(structure):
        is_sure = stack.tower == "text" and is_causal(stack.config)
        said = contradictions(structure, stack)
        doubled = dict.fromkeys(_doubled(structure, stack))
        for key, expected, seen in dict.fromkeys((*said, *doubled)):
            yield SIZES.finding(
                f"{stack.container}: config says {key} {expected}, the shapes have {seen}",
                Where(pattern=stack.path, indices=(str(stack.indices),), count=len(stack.indices)),
                severity="error" if is_sure and (key, expected, seen) not in doubled else "warning",
                confidence=INFERRED,
                hint="take the config.json that was saved with these weights",
                key=key,
                expected=expected,
                seen=seen,
            )


_Said = tuple[str, str, str]


def contradictions(structure: Structure, stack: Stack) -> list[_Said]:
    """The figures of a stack that its shapes contradict: the key, what it says, what is seen."""
    hidden, widths = list(_hidden(structure, stack)), list(_feed_forward(structure, stack))
    if stack.tower != "text" or not is_causal(stack.config):
        attends = any(one.container == stack.container for one in structure.attention)
        if not attends or _are_declared(structure, hidden):
            return []  # a model of parts, or of bottlenecks: the figures are of others
        widths = [one for one in widths if not _are_declared(structure, [one])]
    return [*hidden, *widths, *_attends(structure, stack)]


def _hidden(structure: Structure, stack: Stack) -> Iterator[_Said]:
    """The width of the residual stream."""
    said = stack.config.number(*keys.HIDDEN)
    widths = {one.hidden for one in structure.attention if one.container == stack.container}
    widths |= {one.hidden for one in structure.feed_forward if one.container == stack.container}
    known = {width for width in widths if width is not None}
    if said is None or not known:
        return
    if said in known:
        yield from _of_embedding(structure, stack, said)
        return
    tables = [end for end in ends(structure.main) if end.role.name == "embedding"]
    is_sure = stack.tower == "text" and is_causal(stack.config)
    if is_sure and any(said in shape_of(end)[1:] for end in tables):
        return  # the stream is as wide as the embedding: layers with inner widths, as Zamba's
    if stack.tower != "text" and stack.config.number("embed_dim") in known:
        return  # Qwen2-VL's vision: hidden_size is that of the language model
    yield "hidden_size", f"{said:,}", ", ".join(f"{width:,}" for width in sorted(known))


def _of_embedding(structure: Structure, stack: Stack, said: int) -> Iterator[_Said]:
    """The width of the input table, where it is the layers' in no model of this kind.

    Tables of fewer columns are declared: embedding_size, word_embed_proj_dim.
    """
    wide = {
        shape_of(end)
        for end in ends(structure.main)
        if end.role.name == "embedding" and len(shape_of(end)) == 2
    }
    if stack.tower != "text" or not is_causal(stack.config) or not wide:
        return
    if any(said in shape for shape in wide) or len(wide) > 1:
        return
    ((_, columns),) = wide
    if not is_declared(structure, columns, _SIZES):
        yield "hidden_size", f"{said:,}", f"{columns:,} columns in the embedding"


def _feed_forward(structure: Structure, stack: Stack) -> Iterator[_Said]:
    config = stack.config
    said = {width for key in keys.WIDTHS for width in _one_or_several(config, key)}
    for one in structure.feed_forward:
        if one.container != stack.container:
            continue
        own = {width for key in keys.EXPERT_WIDTHS for width in _one_or_several(config, key)}
        allowed = own if one.experts and own else said
        if one.experts == 0 and own:
            dense = {width for key in keys.WIDTHS if key not in keys.EXPERT_WIDTHS
                     for width in _one_or_several(config, key)}  # fmt: skip
            allowed = dense or said
        if allowed and not _is_related(one, allowed, config) and not _holds(stack, allowed):
            shown = ", ".join(f"{width:,}" for width in sorted(allowed))
            yield "intermediate_size", shown, f"{one.width:,}"
        shared = config.number("shared_expert_intermediate_size")
        if shared is not None and one.shared and one.shared != shared:
            yield "shared_expert_intermediate_size", f"{shared:,}", f"{one.shared:,}"


def _holds(stack: Stack, widths: set[int]) -> bool:
    """Whether a matrix of these layers has one of the widths: experts of attention have another."""
    wanted = widths | {2 * width for width in widths}
    return any(
        wanted & set(shape_of(end)) for kind in stack.kinds for end in ends(kind) if _is_matrix(end)
    )


def _is_matrix(end: End) -> bool:
    return len(end.shape or ()) > 1


def _one_or_several(config: Config, key: str) -> tuple[int, ...]:
    one = config.number(key)
    return (one,) if one is not None else config.numbers(key)


def _is_related(one: FeedForward, said: set[int], config: Config) -> bool:
    """Whether the width is declared, or follows from what is."""
    shared = config.number(*keys.SHARED_EXPERTS)
    related = {one.width, 2 * one.width}  # Qwen-1 and GLM-3: gate and up together
    if config.flag("block_auto_adjust_ff_dim") or config.number("multiple_of") is not None:
        return bool(one.rule) or bool(related & said)
    return bool(related & said) or any(width * (shared or 1) == one.width for width in said)


def _doubled(structure: Structure, stack: Stack) -> Iterator[_Said]:
    """Widths that are declared as of gate and up together, where each has a name of its own.

    Qwen-1 declares so, and calls them w1 and w2; elsewhere it is odd, and may be meant.
    """
    said = stack.config.number("intermediate_size")
    names = {
        part
        for kind in stack.kinds
        for end in ends(kind)
        for part in end.family.pattern[-_LONGEST:].split(".")
    }
    others = {width for key in keys.WIDTHS for width in _one_or_several(stack.config, key)} - {said}
    widths = {one.width for one in structure.feed_forward if one.container == stack.container}
    is_plain = {"gate_proj", "up_proj"} <= names and not others
    is_plain &= stack.config.model_type not in _HALVED
    if is_plain and said is not None and widths == {said // 2} and said % 2 == 0:
        yield "intermediate_size", f"{said:,}", f"{said // 2:,}, half of it"


def _attends(structure: Structure, stack: Stack) -> list[_Said]:
    """What no attention of the stack bears out; layers of two sorts may have figures of two."""
    found: list[_Said] = []
    for one in structure.attention:
        if one.container == stack.container and not one.is_mtp and one.kind in _ATTENDING:
            said = list(_attention(one, stack))
            if not said and _is_witness(one, stack):
                return []
            found += said
    return found


def _is_witness(one: Attention, stack: Stack) -> bool:
    """Whether these layers hold what heads are told by."""
    kind = next((kind for kind in stack.kinds if set(one.layers) & set(kind.repeat or ())), None)
    return one.latent is not None or (kind is not None and "o" in role_shapes(kind))


def _are_declared(structure: Structure, said: Iterable[_Said]) -> bool:
    """Whether a width that the shapes have stands elsewhere in config.json."""
    seen = [width.replace(",", "") for _, _, widths in said for width in widths.split(", ")]
    figures = [int(width) for width in seen if width.isdecimal()]
    return any(is_declared(structure, figure, _SIZES) for figure in figures)


def _attention(one: Attention, stack: Stack) -> Iterator[_Said]:
    config = stack.config
    if one.latent is not None:
        for key, seen in (
            ("num_attention_heads", one.heads),
            ("kv_lora_rank", one.latent.kv_rank),
            ("q_lora_rank", one.latent.q_rank),
            ("qk_nope_head_dim", one.latent.nope),
            ("qk_rope_head_dim", one.latent.rope),
            ("v_head_dim", one.latent.v),
        ):
            said = config.number(key)
            if said is not None and seen is not None and said != seen:
                yield key, f"{said:,}", f"{seen:,}"
    else:
        yield from _heads(one, stack)


def _heads(one: Attention, stack: Stack) -> Iterator[_Said]:
    """Heads, by the products that their weights must have."""
    config = stack.config
    node = next((kind for kind in stack.kinds if set(one.layers) & set(kind.repeat or ())), None)
    shapes = role_shapes(node) if node is not None else {}
    heads = config.number(*keys.SIDE_HEADS.get(stack.side, ()), *keys.HEADS)
    taken = shapes.get("o")
    if heads is None or taken is None or len(taken) != 2 or _has_own_heads(config):
        return
    wrong = _query_heads(one, heads, taken[1], config)
    if wrong is not None:
        yield wrong
    else:
        yield from _key_heads(one, heads, taken[1], shapes, config)


def _query_heads(one: Attention, heads: int, width: int, config: Config) -> _Said | None:
    own = [
        dim for key in keys.HEAD_DIM if (dim := config.beside(*keys.HEADS).number(key)) is not None
    ]
    if one.label == "exact" and one.heads is not None:
        is_wrong = one.heads != heads and one.kv_heads is not None
        return ("num_attention_heads", str(heads), str(one.heads)) if is_wrong else None
    if own and width not in [heads * dim for dim in own] and config.number("v_head_dim") is None:
        return "num_attention_heads x head_dim", f"{heads} x {own[0]}", f"{width:,}"
    if not own and width % heads:
        return "num_attention_heads", str(heads), f"{width:,}, not a multiple"
    return None


def _key_heads(
    one: Attention, heads: int, width: int, shapes: Mapping[str, Shape], config: Config
) -> Iterator[_Said]:
    kv_heads = config.number(*keys.KV_HEADS)
    if kv_heads is None and not any(config.said(key) is not None for key in _GROUPED):
        kv_heads = heads  # every head has its own where nothing else is said
    if kv_heads is None or config.flag("multi_query"):
        return
    own = config.number(*keys.HEAD_DIM)
    dim = one.head_dim or own
    if own is None and one.label != "exact":
        dim = width // heads
    rows, fused = shapes.get("k"), shapes.get("qkv")
    if dim and rows is not None and len(rows) == 2 and kv_heads * dim != rows[0]:
        yield "num_key_value_heads", str(kv_heads), f"{rows[0]:,} rows of keys of {dim} a head"
    elif dim and rows is None and fused is not None and len(fused) == 2:
        expected = (heads + 2 * kv_heads) * dim
        if fused[0] != expected and fused[0] != (2 * heads + 2 * kv_heads) * dim:
            yield "heads + 2 x KV heads", f"{heads} + 2 x {kv_heads}", f"{fused[0]:,} rows of {dim}"


_GROUPED = ("multi_query", "new_decoder_architecture", "num_key_value_groups", "kv_n_heads")


def _has_own_heads(config: Config) -> bool:
    """Whether heads differ from layer to layer, so that no one figure holds for all."""
    own = (
        "global_head_dim",
        "block_configs",
        "num_global_key_value_heads",
        "swa_num_attention_heads",
        "hybrid_override_pattern",
        "attention_other_setting",
        "attn_config",
    )
    heads, kv_heads = config.said(*keys.HEADS), config.said(*keys.KV_HEADS)
    lists = isinstance(heads, list) or isinstance(kv_heads, list)
    return lists or any(config.said(key) is not None for key in own)


SIZES = Check("C005", "config-size-mismatch", "error", _sizes)
CHECKS: tuple[Check, ...] = (SIZES,)

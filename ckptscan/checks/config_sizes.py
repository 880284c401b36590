"""config.json's figures against the shapes: layers, vocabulary, widths (C001, C003, C005, S012)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ckptscan.checks.evidence.figures import Shape, Stack, is_causal, main_stacks, role_shapes
from ckptscan.checks.values import INFERRED, Check, Finding, Subject, Where
from ckptscan.config import Config
from ckptscan.structure import Attention, End, FeedForward, Structure
from ckptscan.structure.counting import ends
from ckptscan.structure.expected import keys
from ckptscan.structure.expected.figures import figures_of
from ckptscan.structure.expected.layers import runs_again
from ckptscan.structure.expected.stacks import main_of
from ckptscan.structure.scene import tower_of


def _layer_count(subject: Subject) -> Iterator[Finding]:
    """Find more or fewer layers than config.json says.

    What it finds: The main stack of layers of a model has another number of layers than its config
    declares, multi-token prediction and shared layers apart.
    Why it matters: What is too many is not loaded; what is missing is made up with random weights
    (ggml-org/llama.cpp#26942).
    Example: num_hidden_layers is 32, model.layers has 31: 0-30.
    What to do: Is a shard missing? After pruning or merging, change num_hidden_layers.
    """
    for stack in _spoken_of(subject.structure):
        said = stack.config.number(*keys.SIDE_LAYERS[stack.side], *keys.LAYERS)
        held = len(stack.indices)
        if said is None or said == held or held < 2 or _is_by_design(stack, said):
            continue
        is_sure = stack.tower == "text" and is_causal(stack.config)
        yield LAYERS.finding(
            f"{stack.container} has {held} layers, config says {said}",
            Where(pattern=stack.path, indices=(str(stack.indices),), count=held),
            severity="error" if is_sure else "warning",
            confidence=INFERRED,
            hint="is a shard missing? after pruning or merging, correct the config",
            expected=said,
            seen=f"{held}: {stack.indices}",
        )


def _spoken_of(structure: Structure) -> list[Stack]:
    """The stacks that the config speaks of: those of towers, and of text the main ones."""
    stacks = main_stacks(structure)
    if structure.checkpoint.configs:
        return stacks
    main = main_of(stacks)
    return [stack for stack in stacks if stack.tower != "text" or stack in main]


def _is_sure(structure: Structure, stack: Stack) -> bool:
    """Whether the config's figures are beyond doubt those of this stack."""
    widths = {one.hidden for one in structure.attention if one.container == stack.container}
    widths |= {one.hidden for one in structure.feed_forward if one.container == stack.container}
    is_one = len(widths - {None}) < 2  # a block of another width has figures of its own
    return stack.tower == "text" and is_causal(stack.config) and is_one


def _is_by_design(stack: Stack, said: int) -> bool:
    """Whether layers are used again, or draft tokens."""
    held = len(stack.indices)
    drafts = any(said + (stack.config.number(key) or 0) == held for key in keys.DRAFTING)
    return drafts or runs_again(stack, said)


def _vocabulary(subject: Subject) -> Iterator[Finding]:
    """Find embeddings with other rows than vocab_size.

    What it finds: No input table, or an output table, has as many rows as config declares. A table
    that is padded to a multiple of 64 is told as info.
    Why it matters: A size mismatch when it is loaded, or token ids beyond the table: an illegal
    memory access on a GPU (huggingface/transformers#35084).
    Example: vocab_size is 32001, model.embed_tokens.weight has 32000 rows.
    What to do: Resize the embeddings to the tokenizer, then save model and config together.
    """
    structure = subject.structure
    config = subject.checkpoint.config
    said = config.number(*keys.VOCABULARY)
    if said is None or subject.checkpoint.configs:
        return
    main = [end for end in ends(structure.main) if tower_of(end.family.pattern) == "text"]
    for role in ("embedding", "lm_head"):
        tables = [end for end in main if end.role.name == role and len(end.shape or ()) == 2]
        if tables and not any(said in (end.shape or ()) for end in tables):
            largest = max(tables, key=lambda end: max(end.shape or (0,)))
            if sum((end.shape or (0,))[0] for end in tables) < said or len(tables) == 1:
                yield _of_table(largest, said, config)


def _of_table(end: End, said: int, config: Config) -> Finding:
    """More rows than tokens do no harm by themselves; with fewer, ids point beyond the table."""
    rows = (end.shape or (0,))[0]
    severity = "error" if is_causal(config) and rows < said else "warning"
    if said < rows <= said + keys.PADDING and rows % 64 == 0:
        severity = "info"
    return VOCABULARY.finding(
        f"{end.family.pattern} has {rows:,} rows, vocab_size is {said:,}",
        Where(tensor=end.family.pattern, pattern=end.family.pattern),
        severity=severity,
        confidence=INFERRED,
        hint="padded; nothing to do" if severity == "info" else "resize, and save both together",
        expected=said,
        seen=rows,
    )


def _sizes(subject: Subject) -> Iterator[Finding]:
    """Find widths and heads in config.json that the shapes contradict.

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
    for stack in _spoken_of(structure):
        is_sure = _is_sure(structure, stack)
        for key, expected, seen in dict.fromkeys(contradictions(structure, stack)):
            yield SIZES.finding(
                f"{stack.container}: config says {key} {expected}, the shapes have {seen}",
                Where(pattern=stack.path, indices=(str(stack.indices),), count=len(stack.indices)),
                severity="error" if is_sure else "warning",
                confidence=INFERRED,
                hint="take the config.json that was saved with these weights",
                key=key,
                expected=expected,
                seen=seen,
            )


_Said = tuple[str, str, str]


def contradictions(structure: Structure, stack: Stack) -> Iterator[_Said]:
    """The figures of a stack that its shapes contradict: the key, what it says, what is seen."""
    yield from _hidden(structure, stack)
    yield from _feed_forward(structure, stack)
    for one in structure.attention:
        if one.container == stack.container and not one.is_mtp:
            yield from _attention(one, stack)


def _hidden(structure: Structure, stack: Stack) -> Iterator[_Said]:
    """The width of the residual stream."""
    said = stack.config.number(*keys.HIDDEN)
    widths = {one.hidden for one in structure.attention if one.container == stack.container}
    widths |= {one.hidden for one in structure.feed_forward if one.container == stack.container}
    known = {width for width in widths if width is not None}
    if said is None or not known or said in known:
        return
    if known & {dim.value for dim in figures_of(structure, stack).all_hidden}:
        return
    if stack.tower != "text" and stack.config.number("embed_dim") in known:
        return  # Qwen2-VL's vision: hidden_size is that of the language model
    yield "hidden_size", f"{said:,}", ", ".join(f"{width:,}" for width in sorted(known))


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
        if allowed and not _is_related(one, allowed, config):
            shown = ", ".join(f"{width:,}" for width in sorted(allowed))
            yield "intermediate_size", shown, f"{one.width:,}"
        shared = config.number("shared_expert_intermediate_size")
        if shared is not None and one.shared and one.shared != shared:
            yield "shared_expert_intermediate_size", f"{shared:,}", f"{one.shared:,}"


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
    elif one.kind in ("MHA", "GQA", "MQA"):
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
    own = config.beside(*keys.HEADS).number(*keys.HEAD_DIM)
    if one.label == "exact" and one.heads is not None:
        is_wrong = one.heads != heads and one.kv_heads is not None
        return ("num_attention_heads", str(heads), str(one.heads)) if is_wrong else None
    if own is not None and heads * own != width and config.number("v_head_dim") is None:
        return "num_attention_heads x head_dim", f"{heads} x {own}", f"{width:,}"
    if own is None and width % heads:
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
    own = config.beside(*keys.HEADS).number(*keys.HEAD_DIM)
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
    lists = isinstance(config.said(*keys.HEADS), list) or isinstance(
        config.said(*keys.KV_HEADS), list
    )
    return lists or any(config.said(key) is not None for key in own)


def _extra_layers(subject: Subject) -> Iterator[Finding]:
    """Find layers beyond those that config.json knows of.

    What it finds: Layers of the shapes of the others with indices at or above num_hidden_layers,
    that draft no tokens.
    Why it matters: Depth up-scaling adds layers; with the old config they are stored, and never
    run.
    Example: model.layers has 0-47, num_hidden_layers is 32.
    What to do: Correct num_hidden_layers, or leave the layers out.
    """
    for stack in _spoken_of(subject.structure):
        said = stack.config.number(*keys.SIDE_LAYERS[stack.side], *keys.LAYERS)
        if said is None or len(stack.indices) <= said or _is_by_design(stack, said):
            continue
        beyond = [index for index in stack.indices if index >= said]
        if beyond:
            yield EXTRA.finding(
                f"{stack.container}: {len(beyond)} layers beyond the {said} that config knows",
                Where(
                    pattern=stack.path,
                    indices=(str(type(stack.indices).of(beyond)),),
                    count=len(beyond),
                ),
                confidence=INFERRED,
                expected=said,
                seen=len(stack.indices),
            )


LAYERS = Check("C001", "layer-count-mismatch", "error", _layer_count)
VOCABULARY = Check("C003", "vocabulary-mismatch", "error", _vocabulary)
SIZES = Check("C005", "config-size-mismatch", "error", _sizes)
EXTRA = Check("S012", "extra-layers", "info", _extra_layers)
CHECKS: tuple[Check, ...] = (LAYERS, VOCABULARY, SIZES, EXTRA)

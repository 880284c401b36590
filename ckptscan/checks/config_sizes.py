"""config.json's figures against the shapes: layers, vocabulary (C001, C003, S012)."""

from __future__ import annotations

from collections.abc import Iterator

from ckptscan.checks.evidence.figures import Stack, is_causal, is_declared, main_stacks, shape_of
from ckptscan.checks.values import INFERRED, Check, Finding, Subject, Where
from ckptscan.config import Config
from ckptscan.late import Late
from ckptscan.structure import End
from ckptscan.structure.counting import ends
from ckptscan.structure.expected import keys
from ckptscan.structure.expected.layers import runs_again
from ckptscan.structure.scene import tower_of

_DEPTHS = Late(r"(?i)layer|depth|stage|block")  # keys of another part's layers


def _layer_count(subject: Subject) -> Iterator[Finding]:
    """There are more or fewer layers than config.json says.

    What it finds: The main stack of layers of a model has another number of layers than its config
    declares, multi-token prediction and shared layers apart.
    Why it matters: What is too many is not loaded; what is missing is made up with random weights
    (ggml-org/llama.cpp#26942).
    Example: num_hidden_layers is 32, model.layers has 31: 0-30.
    What to do: Is a shard missing? After pruning or merging, change num_hidden_layers.
    """
    stacks = list(main_stacks(subject.structure))
    for stack in stacks:
        said = stack.config.number(*_layer_keys(stack))
        held = len(stack.indices)
        if said == held:
            yield from _misnumbered(stack, said)
        if said is None or said == held or held < 2 or _is_by_design(stack, said):
            continue
        is_sure = stack.tower == "text" and is_causal(stack.config)
        is_staged = bool(stack.config.numbers("depths"))
        if not is_sure and (is_staged or is_declared(subject.structure, held, _DEPTHS)):
            continue
        if not is_sure and any(_fits(other, stack, said) for other in stacks):
            continue
        yield LAYERS.finding(
            f"{stack.container} has {held} layers, config says {said}",
            Where(pattern=stack.path, indices=(str(stack.indices),), count=held),
            severity="error" if is_sure else "warning",
            confidence=INFERRED,
            hint="is a shard missing? after pruning or merging, correct the config",
            expected=said,
            seen=f"{held}: {stack.indices}",
        )


def _fits(other: Stack, stack: Stack, said: int) -> bool:
    """Whether a config without sections speaks of another stack, that has as many layers."""
    return other.config == stack.config and len(other.indices) == said


def _layer_keys(stack: Stack) -> tuple[str, ...]:
    """The keys that count the layers of a stack; a tower is an encoder, whatever it is called."""
    side = stack.side or ("" if stack.tower == "text" else "encoder")
    return (*keys.SIDE_LAYERS[side], *keys.LAYERS)


def _misnumbered(stack: Stack, said: int) -> Iterator[Finding]:
    """As many layers as declared under other numbers: a loader looks for 0 to one less."""
    last = stack.indices.ranges[-1][1]
    if last >= said:
        yield LAYERS.finding(
            f"{stack.container} has {said} layers with numbers up to {last}",
            Where(pattern=stack.path, indices=(str(stack.indices),), count=said),
            severity="warning",
            confidence=INFERRED,
            hint="loaders look for 0 and following: was a part of a pipeline saved?",
            expected=f"0-{said - 1}",
            seen=str(stack.indices),
        )


def _is_by_design(stack: Stack, said: int) -> bool:
    """Whether layers are used again, or draft tokens."""
    held = len(stack.indices)
    drafts = any(said + (stack.config.number(key) or 0) == held for key in keys.DRAFTING)
    return drafts or runs_again(stack, said)


def _vocabulary(subject: Subject) -> Iterator[Finding]:
    """An embedding has another number of rows than vocab_size.

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
    tables = {
        role: [end for end in main if end.role.name == role and len(end.shape or ()) == 2]
        for role in ("embedding", "lm_head")
    }
    fitting = [role for role, held in tables.items() if any(said in shape_of(end) for end in held)]
    for role, held in tables.items():
        if held and role not in fitting:
            largest = max(held, key=lambda end: max(shape_of(end)))
            rows = sum(shape_of(end)[0] for end in held)
            yield _of_table(largest, rows, said, config, bool(fitting))


def _of_table(end: End, all_rows: int, said: int, config: Config, fits_other: bool) -> Finding:
    """What is told of a table; the other one may be as large as declared, and this one larger."""
    rows = shape_of(end)[0]
    severity = "error" if is_causal(config) else "warning"
    is_padded = said < rows <= said + keys.PADDING and rows % 64 == 0
    in_parts = rows < all_rows and said <= all_rows <= said + keys.PADDING  # Molmo's new tokens
    if is_padded or in_parts or (fits_other and all_rows > said):
        severity = "info"
    return VOCABULARY.finding(
        f"{end.family.pattern} has {rows:,} rows, vocab_size is {said:,}",
        Where(tensor=end.family.pattern, pattern=end.family.pattern),
        severity=severity,
        confidence=INFERRED,
        hint="room for more tokens; nothing to do"
        if severity == "info"
        else "resize, and save both together",
        expected=said,
        seen=rows,
    )


def _extra_layers(subject: Subject) -> Iterator[Finding]:
    """There are layers beyond those that config.json knows of.

    What it finds: Layers of the shapes of the others with indices at or above num_hidden_layers,
    that draft no tokens.
    Why it matters: Depth up-scaling adds layers; with the old config they are stored, and never
    run.
    Example: model.layers has 0-47, num_hidden_layers is 32.
    What to do: Correct num_hidden_layers, or leave the layers out.
    """
    for stack in main_stacks(subject.structure):
        said = stack.config.number(*_layer_keys(stack))
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
EXTRA = Check("S012", "extra-layers", "info", _extra_layers)
CHECKS: tuple[Check, ...] = (LAYERS, VOCABULARY, EXTRA)

"""Whether head and embedding are what the tie flag says (C008, C009, C010)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ckptscan.checks.evidence.contents import holds_same
from ckptscan.checks.evidence.figures import is_causal
from ckptscan.checks.values import INFERRED, Check, Finding, Subject, Where
from ckptscan.structure import End
from ckptscan.structure.counting import STORED_TWICE, ends

_TIE = ("tie_word_embeddings", "tie_embeddings")
# model types whose config classes untie by default (transformers 5.23 and 4.57)
_UNTIED = frozenset(
    "llama mistral mixtral qwen2 qwen2_moe qwen3 qwen3_moe qwen3_next deepseek_v2 deepseek_v3 "
    "gpt_neox phi phi3 phimoe olmo olmo2 olmoe stablelm gpt_oss glm4_moe kimi_k2 minimax dbrx "
    "jamba internlm2 baichuan".split()
)


def _tied_but_stored(subject: Subject) -> Iterator[Finding]:
    """An output head is stored although config ties it to the embedding.

    What it finds: tie_word_embeddings is true, and a head of its own is there: with another shape
    it can't be the embedding (error), with the same it is stored twice (warning), and with
    `--peek` or `--deep` other bytes are an error too.
    Why it matters: loaders overwrite the one with the other, or keep both and train them apart
    (transformers#42612, vllm#51063).
    Example: lm_head.weight (152064, 3584) beside model.embed_tokens.weight (151936, 3584).
    What to do: if both hold the same, save again without the head; if not, set the flag to false.
    """
    structure, config = subject.structure, subject.checkpoint.config
    if config.flag(*_TIE) is not True or subject.checkpoint.configs:
        return
    main = list(ends(structure.main))
    tables = {end.shape for end in main if end.role.name == "embedding"}
    for end in main:
        if end.role.name != "lm_head" or len(end.shape or ()) != 2 or not tables:
            continue
        is_alike = end.shape in tables or structure.parameters.tied == STORED_TWICE
        same = _same_bytes(subject, end, main)
        told = "" if is_alike else ", which has another shape"
        if same is not None:
            told = ", which holds the same" if same else ", which holds something else"
        # the head may be what config describes, and the table hold more: prompts, other sounds
        is_described = config.number("vocab_size") == (end.shape or (0,))[0]
        yield STORED.finding(
            f"{end.family.pattern} is stored, and config ties it to the embedding{told}",
            Where(tensor=end.family.pattern, pattern=end.family.pattern),
            severity=_graded(is_alike, same, is_described),
            confidence=INFERRED,
            hint="equal bytes: drop the head; else set tie_word_embeddings to false",
            expected=sorted(map(str, tables)),
            seen=str(end.shape),
        )


def _same_bytes(subject: Subject, head: End, main: Iterable[End]) -> bool | None:
    """Whether a head holds what a table of its shape and dtype holds; None where none was read."""
    kind = head.family.kind
    rows = [
        row
        for end in main
        if end.role.name == "embedding" and end.family.kind == kind
        for row in end.family.rows
    ]
    return holds_same(subject.given.peeked, head.family.rows, rows)


def _graded(is_alike: bool, same: bool | None, is_described: bool) -> str:
    """How grave a stored head is: what was read goes before what shapes and config let hope."""
    if same is not None:
        return "warning" if same else "error"
    return "warning" if is_alike or is_described else "error"


def _no_head(subject: Subject) -> Iterator[Finding]:
    """The output head is missing, and config does not tie it to the embedding.

    What it finds: a language model without lm_head, whose config says tie_word_embeddings false
    (error), says it in one place and true in another, or says nothing where the architecture's
    default is false (warning).
    Why it matters: the loader makes a random head; the model speaks gibberish (transformers#43429,
    vllm#53020).
    Example: no lm_head, model.embed_tokens (128256, 4096), tie_word_embeddings false.
    What to do: fetch the shard with the head, or set the flag if the head is the embedding.
    """
    structure, config = subject.structure, subject.checkpoint.config
    if subject.checkpoint.configs or structure.adapter is not None or not is_causal(config):
        return
    declared, main = config.flag(*_TIE), list(ends(structure.main))
    layers = [one for one in structure.layers if not one.within and one.count > 1]
    if any(end.role.name == "lm_head" for end in main) or not layers or declared is True:
        return
    default = declared is None and config.model_type not in _UNTIED
    is_meta = "params.json" in config.documents and "config.json" not in config.documents
    if default and not (is_meta and not config.flag(*_TIE)):
        return
    is_tied_elsewhere = any(key in _TIE and value is True for key, value in config.entries())
    yield HEAD.finding(
        "no output head, and config does not tie it to the embedding",
        severity="error" if declared is False and not is_tied_elsewhere else "warning",
        confidence=INFERRED,
        hint="is the last shard missing? else set tie_word_embeddings to true",
        expected="lm_head.weight",
        seen="absent",
    )


def _disagreeing(subject: Subject) -> Iterator[Finding]:
    """Nested and top-level config disagree.

    What it finds: tie_word_embeddings, vocab_size or the method of quantization said twice in
    config.json, differently, at the top and for the language model.
    Why it matters: one loader reads the outer, another the inner one (vllm#51063).
    Example: tie_word_embeddings is true at the top, false in text_config.
    What to do: make both say what the weights are.
    """
    document = subject.checkpoint.config.documents.get("config.json", {})
    for name in ("text_config", "llm_config", "language_config", "thinker_config"):
        inner = document.get(name)
        for key, outer, own in _twice(document, inner) if isinstance(inner, dict) else ():
            yield DISAGREE.finding(
                f"config.json says {key} {outer}, its {name} says {own}",
                Where(file="config.json"),
                confidence=INFERRED,
                hint="make both say what the weights are",
                key=key,
                expected=outer,
                seen=own,
            )


def _twice(
    document: Mapping[str, object], inner: Mapping[str, object]
) -> Iterator[tuple[str, str, str]]:
    for key in ("tie_word_embeddings", "vocab_size", "quantization_config"):
        outer, own = document.get(key), inner.get(key)
        if key == "quantization_config":
            outer = outer.get("quant_method") if isinstance(outer, dict) else None
            own = own.get("quant_method") if isinstance(own, dict) else None
        are_said = isinstance(outer, bool | int | str) and isinstance(own, bool | int | str)
        if are_said and outer != own:
            yield key, str(outer)[:80], str(own)[:80]


STORED = Check("C008", "tied-head-stored", "error", _tied_but_stored)
HEAD = Check("C009", "missing-head", "error", _no_head)
DISAGREE = Check("C010", "config-disagrees", "warning", _disagreeing)
CHECKS: tuple[Check, ...] = (STORED, HEAD, DISAGREE)

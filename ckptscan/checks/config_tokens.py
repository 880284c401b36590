"""Tokens against the rows of the embedding (C004)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ckptscan.checks.evidence.tokens import Token, files_of, tokens_beyond
from ckptscan.checks.values import INFERRED, Check, Finding, Subject, Where
from ckptscan.config import Config
from ckptscan.late import Late
from ckptscan.structure import Structure
from ckptscan.structure.counting import ends

# ids that are fed to the model, or end its text
_SPECIAL = (
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
    "decoder_start_token_id",
    "forced_bos_token_id",
    "forced_eos_token_id",
)
_OF_GPT2 = 50256  # what transformers writes for begin and end of GPT-2 and its kin unless told
_MOST = 1000  # ids in one list
# tokens of a family's multimodal members, which its text models keep and never meet
_OTHER_KIND = Late(r"(?i)image|audio|video|vision|speech|img")
_LONGEST = 256


def _tokens(subject: Subject) -> Iterator[Finding]:
    """Token ids for which the embedding has no row.

    What it finds: The largest id in tokenizer.json, vocab.json, added_tokens.json,
    tokenizer_config.json or tekken.json, and the ids of begin, end and padding in config.json and
    generation_config.json, against the rows of the input embedding. Rows without a token are
    padding. tokenizer.json and vocab.json are read on this disk, from elsewhere up to 1 MiB;
    spiece.model is not read.
    Why it matters: The first text that holds such a token stops with an index error, on a GPU with
    an illegal memory access (transformers#24698, silnlp#1033, 01-ai/Yi#448).
    Example: [PAD] has id 32000, model.embed_tokens.weight has 32000 rows: 0 to 31999.
    What to do: Resize the embeddings to the tokenizer, or take the tokenizer of these weights.
    """
    rows = _rows(subject.structure)
    if rows is None or subject.checkpoint.configs or subject.structure.adapter is not None:
        return
    config = subject.checkpoint.config
    beyond = tokens_beyond(config, rows)
    if beyond:
        yield _of_tokens(beyond, rows, config)
    for file, key, number in _special(config):
        if number >= rows:
            yield TOKENS.finding(
                f"{file} says {key} {number:,}, the embedding has {rows:,} rows",
                Where(file=file),
                severity="warning" if _is_default(file, key, number) else "",
                confidence=INFERRED,
                hint="take the config and the tokenizer of these weights",
                key=key,
                expected=f"below {rows:,}",
                seen=number,
            )


def _of_tokens(beyond: Sequence[Token], rows: int, config: Config) -> Finding:
    last = beyond[-1]
    named = f" ({last.text[:40]})" if last.text else ""
    is_unused = all(one.is_added and _OTHER_KIND.search(one.text[:_LONGEST]) for one in beyond)
    return TOKENS.finding(
        f"token ids go up to {last.number:,}{named}, the embedding has {rows:,} rows",
        *(Where(file=file) for file in dict.fromkeys(one.file for one in beyond)),
        severity="warning" if is_unused else "error",
        confidence=INFERRED,
        hint="resize the embeddings to the tokenizer, or take the tokenizer of these weights",
        expected=f"below {rows:,}",
        seen=last.number,
        tokens=len(beyond),
        read=files_of(config),
    )


def _rows(structure: Structure) -> int | None:
    """The rows of the largest input table; None where there is none, or it is not known."""
    tables = [end.shape for end in ends(structure.main) if end.role.name == "embedding"]
    known = [shape for shape in tables if shape is not None and len(shape) == 2]
    return max((shape[0] for shape in known), default=None) if len(known) == len(tables) else None


def _is_default(file: str, key: str, number: int) -> bool:
    """Whether GPT-2's id stands in config.json because nobody said another."""
    is_own = file != "config.json" or key not in ("bos_token_id", "eos_token_id")
    return number == _OF_GPT2 and not is_own


def _special(config: Config) -> Iterator[tuple[str, str, int]]:
    """Files, keys and ids; what generation_config.json says goes before config.json."""
    generation = config.documents.get("generation_config.json", {})
    for key in _SPECIAL:
        file = "generation_config.json" if generation.get(key) is not None else "config.json"
        said = generation.get(key) if file != "config.json" else config.said(key)
        numbers = said[:_MOST] if isinstance(said, list) else [said]
        largest = max((one for one in numbers if type(one) is int), default=-1)
        yield file, key, largest


TOKENS = Check("C004", "tokenizer-exceeds-embedding", "error", _tokens)
CHECKS: tuple[Check, ...] = (TOKENS,)

"""Towers that config.json promises, and the prefixes that they stand under (C012, C013)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from ckptscan.checks.evidence.figures import layer_stacks
from ckptscan.checks.values import INFERRED, Check, Finding, Subject, Where
from ckptscan.config import Config
from ckptscan.late import Late
from ckptscan.structure import Family
from ckptscan.structure.scene import tower_of

# words of keys by which a config speaks of another tower than the language model's
_SPEAKS = Late(r"(?i)vision|visual|image|img|video|audio|speech|patch|mm_|pixel|codec|token2wav")
# modules between the towers
_BETWEEN = Late(
    r"(?i)merger|project|connector|adapter|aligner|resampler|perceiver|qformer|q_former|bridge"
    r"|multi_modal|multimodal|mm_|mlp1|embed_vision|embed_audio|abstractor|downsample|linear|proj"
)
_PATCH = Late(r"(?i)patch|pos|conv\d|stem|lm_head")
# prefixes before and since transformers 4.52
_MOVED = (
    ("language_model.model.", "model.language_model."),
    ("model.layers.", "model.language_model.layers."),
    ("visual.", "model.visual."),
    ("vision_tower.", "model.vision_tower."),
)
# model types whose files keep the names from before, though models in memory have the new ones
_OLD_QWEN = frozenset({"qwen2_vl", "qwen2_5_vl"})
_OLD = frozenset(
    "llava llava_next llava_next_video llava_onevision vipllava video_llava aria aya_vision emu3 "
    "fuyu gemma3 got_ocr2 internvl mistral3 mllama paligemma qwen2_audio".split()
)
# model types that were born with the new names
_NEW = frozenset(
    "qwen3_vl qwen3_vl_moe qwen3_5 qwen3_5_moe glm4v glm4v_moe gemma3n gemma4 cohere2_vision "
    "deepseek_vl deepseek_vl_hybrid janus lfm2_vl ovis2 perception_lm florence2 "
    "lighton_ocr".split()
)
_LONGEST = 1024


def _towers(subject: Subject) -> Iterator[Finding]:
    """A tower is declared and has no tensors, or has tensors and is not declared.

    What it finds: vision_config, audio_config or text_config in config.json without a tensor of
    that part; an encoder-decoder with one of its sides; two towers with nothing in between;
    tensors of a vision or audio part beside the config of a text model.
    Why it matters: Images are encoded by random weights, or the weights for it are dropped in
    silence (LLaDA-V#9, mlx-vlm#1879). A text-only copy of a multimodal model may be what is wanted.
    Example: vision_config is there, no name speaks of vision.
    What to do: Fetch the missing shards, or take the config of what is there.
    """
    structure, checkpoint = subject.structure, subject.checkpoint
    if structure.adapter is not None or checkpoint.configs or not structure.families:
        return
    held: dict[str, list[Family]] = {}
    for family in structure.families:
        held.setdefault(tower_of(family.pattern), []).append(family)
    unnamed = [one for one in layer_stacks(structure) if one.tower == "text"]
    # one of several stacks may be the tower, under a name that does not tell
    absent = _absent(checkpoint.config, held) if len(unnamed) < 2 else ()
    for lack in (
        *absent,
        *_one_sided(checkpoint.config, structure.families),
        *_undeclared(checkpoint.config, held),
    ):
        yield TOWER.finding(
            lack.message,
            Where(file="config.json"),
            confidence=INFERRED,
            hint=lack.hint,
            expected=lack.expected,
            seen=lack.seen,
        )


class _Lack(NamedTuple):
    message: str
    expected: str
    seen: object
    hint: str = "fetch the missing shards, or take the config of what is there"


def _absent(config: Config, held: Mapping[str, Sequence[Family]]) -> Iterator[_Lack]:
    """Towers that config has a section for, and that have no tensor."""
    document = config.documents.get("config.json", {})
    declared = [
        tower
        for tower in ("vision", "audio")
        if isinstance(document.get(f"{tower}_config"), dict) and document[f"{tower}_config"]
    ]
    for tower in declared:
        if tower not in held:
            yield _Lack(
                f"config has {tower}_config, no tensor is of a {tower} part",
                f"tensors of a {tower} part",
                sorted(held),
            )
    name = config.architecture or ""
    is_whole = name.endswith(("ForConditionalGeneration", "ForCausalLM"))
    if declared and is_whole and "text" not in held:
        yield _Lack(
            "config is that of a model with text, no tensor is of a language model",
            "tensors of a language model",
            sorted(held),
        )
    elif declared and is_whole and set(declared) & held.keys() and not _are_joined(held):
        yield _Lack(
            f"nothing lies between the {declared[0]} part and the language model",
            "a projector",
            "absent",
        )


def _are_joined(held: Mapping[str, Sequence[Family]]) -> bool:
    """Whether a module lies between the towers, outside of any layer, or layers look across."""
    for families in held.values():
        for family in families:
            path = family.pattern[:_LONGEST]
            outside, _, inside = path.partition(".*.")
            is_between = _BETWEEN.search(outside) and not _PATCH.search(outside)
            if (is_between or "cross" in inside) and _is_matrix(family):
                return True
    return False


def _is_matrix(family: Family) -> bool:
    return len(family.shape) > 1 or "weight" in family.pattern.rpartition(".")[2]


def _one_sided(config: Config, families: Sequence[Family]) -> Iterator[_Lack]:
    """An encoder-decoder with one of its sides."""
    name = config.architecture or ""
    both = config.documents.get("config.json", {}).get("is_encoder_decoder") is True
    if not both or not name.endswith("ForConditionalGeneration"):
        return
    segments = {part for family in families for part in family.pattern[:_LONGEST].split(".")}
    sides = {"encoder", "decoder"} & segments
    for side in sorted({"encoder", "decoder"} - sides) if sides else ():
        yield _Lack(
            f"no tensor is of the {side} of {name[:80]}", f"tensors of the {side}", sorted(sides)
        )


def _undeclared(config: Config, held: Mapping[str, Sequence[Family]]) -> Iterator[_Lack]:
    """Towers beside a text model's config, which says nothing of them."""
    document = config.documents.get("config.json", {})
    name = config.architecture or ""
    others = [tower for tower in ("vision", "audio") if tower in held]
    is_text = name.endswith(("ForCausalLM", "LMHeadModel")) or (
        bool(config.model_type) and name.endswith("ForConditionalGeneration") and "text" in held
    )
    if not others or "text" not in held or not is_text or "auto_map" in document:
        return
    said = [key for key in _keys(document) if not key.endswith("token_id")]
    if any(_SPEAKS.search(key[:_LONGEST]) for key in said):
        return
    count = sum(family.count for tower in others for family in held[tower])
    yield _Lack(
        f"{count:,} tensors are of a {others[0]} part, config.json says nothing of one",
        "the config of a text model's tensors",
        sorted(held),
        f"add {others[0]}_config, or leave the tensors out",
    )


def _keys(document: Mapping[str, object]) -> Iterator[str]:
    """The keys of a config and of its sections: a section may hold that of a tower."""
    waiting = [document]
    for section in waiting:  # grows while it is walked
        yield from (key for key in section if isinstance(key, str))
        waiting += [held for held in section.values() if isinstance(held, Mapping)]


def _generations(subject: Subject) -> Iterator[Finding]:
    """Names have the prefixes of another generation than this model's.

    What it finds: The language model both under `language_model.model.` (or `model.layers.`) and
    under `model.language_model.`, or the vision part both under `visual.` and `model.visual.`;
    names of the one kind in a model whose files have the other; `language_model.` in a text model.
    Why it matters: transformers 4.52 moved the prefixes in memory; a file that was saved with the
    wrong ones is loaded in part, or with random weights (transformers#45357, sglang#19850,
    LlamaFactory#8338).
    Example: visual.blocks.0 and model.visual.blocks.0 in one checkpoint.
    What to do: Save the whole model with one version of the library, or rename the tensors.
    """
    if subject.structure.adapter is not None or subject.checkpoint.configs:
        return
    patterns = [family.pattern for family in subject.structure.families]
    mixed = False
    for old, new in _MOVED:
        before, after = _first(patterns, old), _first(patterns, new)
        if before is not None and after is not None:
            mixed = True
            yield _told(f"names of two generations: {old} and {new}", new, [old, new],
                        before, after)  # fmt: skip
    for seen, expected in () if mixed else _foreign(patterns, subject.checkpoint.config):
        first = _first(patterns, seen)
        yield _told(
            f"names begin with {seen}, a {subject.checkpoint.config.model_type} has {expected}",
            expected,
            seen,
            first or seen,
        )


def _told(message: str, expected: str, seen: object, *patterns: str) -> Finding:
    return GENERATIONS.finding(
        message,
        *(Where(pattern=pattern) for pattern in patterns),
        confidence=INFERRED,
        hint="save the whole model with one version of the library, or rename the tensors",
        expected=expected,
        seen=seen,
    )


def _first(patterns: Sequence[str], prefix: str) -> str | None:
    return next((one for one in patterns if one.startswith(prefix)), None)


def _foreign(patterns: Sequence[str], config: Config) -> Iterator[tuple[str, str]]:
    """Prefixes that files of this type of model do not have, and those that they have."""
    kind = config.model_type or ""
    has_towers = {"text"} != set(map(tower_of, patterns))
    has_towers &= not (config.architecture or "").endswith("ForCausalLM")
    wrong: dict[str, str] = {}
    if kind in _OLD_QWEN:
        wrong = {"model.language_model.": "model.", "language_model.": "model."}
        wrong |= {"model.visual.": "visual.", "vision_tower.": "visual."}
    elif kind in _OLD:
        wrong = {"model.language_model.": "language_model.model."}
        wrong |= {"model.vision_tower.": "vision_tower."}
        wrong |= {"model.layers.": "language_model.model.layers."} if has_towers else {}
    elif kind in _NEW:
        wrong = {"language_model.model.": "model.language_model.", "visual.": "model.visual."}
        wrong |= {"model.layers.": "model.language_model.layers."} if has_towers else {}
    elif _is_text(patterns, config):
        wrong = {"model.language_model.layers.": "model.", "language_model.model.layers.": "model."}
        wrong |= {"language_model.layers.": "layers."}
    for seen, expected in wrong.items():
        if _first(patterns, seen) is not None:
            yield seen, expected


def _is_text(patterns: Sequence[str], config: Config) -> bool:
    """Whether config is that of a language model alone, and no tensor is of another tower."""
    document = config.documents.get("config.json", {})
    nested = [key for key, value in document.items() if isinstance(value, dict) and
              isinstance(key, str) and key.endswith("_config") and
              key not in ("quantization_config", "compression_config")]  # fmt: skip
    if nested or "auto_map" in document or {"text"} != set(map(tower_of, patterns)):
        return False
    return (config.architecture or "").endswith(("ForCausalLM", "LMHeadModel"))


TOWER = Check("C012", "missing-tower", "warning", _towers)
GENERATIONS = Check("C013", "mixed-prefixes", "warning", _generations)
CHECKS: tuple[Check, ...] = (TOWER, GENERATIONS)

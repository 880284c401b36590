"""Parts that config.json promises: drafting layers, towers, itself (C002, C012, C015), dtype."""

from __future__ import annotations

from collections.abc import Iterator

from ckptscan.checks.values import INFERRED, PROVED, Check, Finding, Subject, Where
from ckptscan.config import CONFIG_NAMES
from ckptscan.structure.expected.keys import DRAFTING as DRAFTING_KEYS
from ckptscan.structure.scene import tower_of

_DTYPES = {
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "float64": "F64",
    "torch.float16": "F16",
    "torch.bfloat16": "BF16",
    "torch.float32": "F32",
    "half": "F16",
    "float": "F32",
}
_PLAIN = frozenset(_DTYPES.values())
# prefixes before and since transformers 4.52
_MOVED = (
    ("language_model.model.", "model.language_model."),
    ("model.layers.", "model.language_model.layers."),
    ("visual.", "model.visual."),
    ("vision_tower.", "model.vision_tower."),
)


def _drafting(subject: Subject) -> Iterator[Finding]:
    """Layers that draft tokens are declared and missing, or there and declared as none.

    What it finds: config's number of multi-token prediction layers against the tensors.
    Why it matters: speculative decoding fails, or an engine takes the extra layer for part of the
    model (ms-swift#7848, vllm#34888).
    Example: num_nextn_predict_layers is 1, no tensor of a drafting layer is there.
    What to do: if they were left out on purpose, set the number to 0.
    """
    config, mtp = subject.checkpoint.config, subject.structure.mtp
    key = next((key for key in DRAFTING_KEYS if config.said(key) is not None), "")
    said = config.said(key) if key else None
    if type(said) is not int or (said > 0) == (mtp is not None):
        return
    yield DRAFTING.finding(
        f"config says {key} {said}, tensors that draft tokens are "
        + ("there" if mtp is not None else "missing"),
        confidence=INFERRED,
        hint="set the number to what is stored",
        expected=said,
        seen=mtp.tensors if mtp is not None else 0,
    )


def _stored_dtype(subject: Subject) -> Iterator[Finding]:
    """Most weights have another dtype than config.json says.

    What it finds: dtype or torch_dtype against the dtype of most bytes; packed weights apart.
    Why it matters: memory is planned for half of what is loaded, or every tensor is cast
    (transformers#24976, transformers#34743).
    Example: torch_dtype is float16, 99 % of the bytes are F32.
    What to do: cast the weights when saving, or correct the config.
    """
    structure, config = subject.structure, subject.checkpoint.config
    said = config.said("dtype", "torch_dtype")
    named = _DTYPES.get(said) if isinstance(said, str) else None
    most = structure.dtypes[0] if structure.dtypes else None
    if named is None or most is None or subject.checkpoint.configs or structure.quantization:
        return
    if most.dtype in _PLAIN and most.dtype != named:
        yield DTYPE.finding(
            f"config says {said}, most bytes are {most.dtype}",
            confidence=INFERRED,
            hint="cast the weights, or correct the config",
            expected=named,
            seen=most.dtype,
        )


def _towers(subject: Subject) -> Iterator[Finding]:
    """A vision or audio part is declared, and has no tensors.

    What it finds: vision_config or audio_config in config.json without a tensor of that part.
    Why it matters: images are encoded by random weights (LLaDA-V#9, mlx-vlm#1879). A text-only copy
    of a multimodal model may be what is wanted.
    Example: vision_config is there, no name speaks of vision.
    What to do: fetch the missing shards, or take the text-only config.
    """
    document = subject.checkpoint.config.documents.get("config.json", {})
    held = {tower_of(family.pattern) for family in subject.structure.families}
    if not held or subject.structure.adapter is not None:
        return
    for tower in ("vision", "audio"):
        section = document.get(f"{tower}_config")
        if isinstance(section, dict) and section and tower not in held:
            yield TOWER.finding(
                f"config has {tower}_config, no tensor is of a {tower} part",
                Where(file="config.json"),
                confidence=INFERRED,
                hint="fetch the missing shards, or take the config of the text model",
                expected=f"tensors of a {tower} part",
                seen=sorted(held),
            )


def _config_file(subject: Subject) -> Iterator[Finding]:
    """There is no usable config.json.

    What it finds: no config beside the weights, one that can't be read, or one without model_type.
    Why it matters: loaders can't tell what to build; what the audit infers, it can't compare.
    Example: config.json is not JSON: Expecting value at character 0.
    What to do: put the model's config.json beside the weights.
    """
    checkpoint = subject.checkpoint
    for name, problem in checkpoint.config.problems.items():
        yield CONFIG.finding(
            f"{name}: {problem}",
            Where(file=name),
            confidence=PROVED,
            hint="take the file from the source again",
            expected="a JSON object",
            seen=problem,
        )
    config = checkpoint.config
    is_there = config.problems or any(name in config.documents for name in CONFIG_NAMES)
    if subject.structure.families and not checkpoint.configs and not is_there:
        yield CONFIG.finding(
            "no config.json beside the weights",
            confidence=PROVED,
            hint="put the model's config.json beside the weights",
            expected="config.json",
            seen="absent",
        )


def _generations(subject: Subject) -> Iterator[Finding]:
    """One part of a multimodal model stands under the names of two generations.

    What it finds: The language model both under `language_model.model.` (or `model.layers.`) and
    under `model.language_model.`, or the vision part both under `visual.` and `model.visual.`.
    Why it matters: transformers 4.52 moved the prefixes; a checkpoint that holds both loads half of
    itself under either (transformers#45357, sglang#19850).
    Example: visual.blocks.0 and model.visual.blocks.0 in one checkpoint.
    What to do: Save the whole model with one version of the library.
    """
    patterns = [family.pattern for family in subject.structure.families]
    for old, new in _MOVED:
        before = next((one for one in patterns if one.startswith(old)), None)
        after = next((one for one in patterns if one.startswith(new)), None)
        if before is not None and after is not None:
            yield GENERATIONS.finding(
                f"names of two generations: {old} and {new}",
                Where(pattern=before),
                Where(pattern=after),
                confidence=INFERRED,
                hint="save the whole model with one version of the library",
                expected=new,
                seen=[old, new],
            )


DRAFTING = Check("C002", "drafting-layers-mismatch", "warning", _drafting)
DTYPE = Check("C011", "dtype-mismatch", "warning", _stored_dtype)
TOWER = Check("C012", "missing-tower", "warning", _towers)
GENERATIONS = Check("C013", "mixed-prefixes", "warning", _generations)
CONFIG = Check("C015", "unusable-config", "info", _config_file)
CHECKS: tuple[Check, ...] = (DRAFTING, DTYPE, TOWER, GENERATIONS, CONFIG)

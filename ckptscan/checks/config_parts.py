"""Parts that config.json promises: drafting layers (C002), dtype (C011), itself (C015)."""

from __future__ import annotations

from collections.abc import Iterator

from ckptscan.checks.values import INFERRED, PROVED, Check, Finding, Subject, Where
from ckptscan.config import CONFIG_NAMES
from ckptscan.structure.expected.keys import DRAFTING as DRAFTING_KEYS

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


DRAFTING = Check("C002", "drafting-layers-mismatch", "warning", _drafting)
DTYPE = Check("C011", "dtype-mismatch", "warning", _stored_dtype)
CONFIG = Check("C015", "unusable-config", "info", _config_file)
CHECKS: tuple[Check, ...] = (DRAFTING, DTYPE, CONFIG)

"""config.json's experts against those that are there (C006, C007)."""

from __future__ import annotations

from collections.abc import Iterator

from ckptscan.checks.values import INFERRED, Check, Finding, Subject
from ckptscan.structure import Structure
from ckptscan.structure.active import TOP_K_KEYS
from ckptscan.structure.expected.keys import EXPERTS

_SPARSE = ("is_moe", "use_moe")
_WIDTHS = ("moe_intermediate_size",)


def _expert_count(subject: Subject) -> Iterator[Finding]:
    """There are more or fewer experts than config.json says.

    What it finds: The layers hold more or fewer routed experts than config declares.
    Why it matters: The router's width and the experts' tensors do not match what is built from the
    config (vllm-project/llm-compressor#2864); pruned mixtures often keep the old figure.
    Example: num_experts is 128, the layers have 64.
    What to do: Correct the config after pruning; else look which rank's experts are missing.
    """
    config, experts = subject.checkpoint.config, subject.structure.parameters.experts
    said = config.number(*EXPERTS)
    if said is None or said < 2 or subject.checkpoint.configs:
        return
    held = 0 if experts is None else experts.routed
    if held == said or (held == 0 and subject.structure.adapter is not None):
        return
    if config.flag(*_SPARSE) is False or (held and held == said * len(config.numbers(*_WIDTHS))):
        return  # built dense; or as many experts of each of several widths: Ernie 4.5 VL
    if held == said * _routers(subject.structure):
        return  # Ernie-VL: experts of text and of images in one row, config says those of one
    yield COUNT.finding(
        f"config says {said} experts, the layers hold {held}",
        severity="error" if held else "warning",
        confidence=INFERRED,
        hint="correct the config after pruning; or is a rank's part missing?",
        expected=said,
        seen=held,
    )


def _routers(structure: Structure) -> int:
    """How many routers one layer has, by their names within it."""
    patterns = {
        family.pattern
        for family in structure.families
        if family.pattern.rpartition(".")[2].startswith("weight")
        if len(family.axes) == 1 and structure.role(family) == "router"
    }
    return max(1, len(patterns))


def _top_k(subject: Subject) -> Iterator[Finding]:
    """A router has to take more experts than there are.

    What it finds: The experts a token takes, by config, are more than the layers hold.
    Why it matters: Selection of the best k of fewer than k fails, or runs out of bounds.
    Example: num_experts_per_tok is 8, the layers hold 4 experts.
    What to do: Lower num_experts_per_tok, or restore the experts.
    """
    experts = subject.structure.parameters.experts
    said = subject.checkpoint.config.number(*TOP_K_KEYS)
    if experts is not None and said is not None and said > experts.routed:
        yield TOP_K.finding(
            f"config takes {said} experts a token, the layers hold {experts.routed}",
            confidence=INFERRED,
            hint="lower the number of experts a token takes",
            expected=f"at most {experts.routed}",
            seen=said,
        )


COUNT = Check("C006", "expert-count-mismatch", "error", _expert_count)
TOP_K = Check("C007", "top-k-too-large", "error", _top_k)
CHECKS: tuple[Check, ...] = (COUNT, TOP_K)

"""P001, P002: what the project's policy asserts of the checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ckptscan.checks.values import Check, Finding, Subject

if TYPE_CHECKING:
    from ckptscan.checks.policy import Rule, Verdict


def policy_violated(subject: Subject) -> Iterator[Finding]:
    """A line of the project's policy does not hold.

    What it finds: Whatever `policy` in ckptscan.toml or setup.cfg asserts of groups of tensors,
    figures, files or facts, and is not so. The severity is the rule's own, error unless it says
    another.
    Why it matters: The project has written down what it relies on: a dtype that its kernels want, a
    count that its paper states, no code that comes with weights.
    Example: `experts are F8_E4M3`: model.layers.*.mlp.experts.*.up_proj.weight (3, 0-255) is BF16.
    What to do: Take the checkpoint that the policy means, or change the policy.
    """
    for rule, verdict in _verdicts(subject):
        if not verdict.moot:
            yield VIOLATED.finding(
                f"policy: {rule.text}: expected {verdict.expected}, seen {verdict.seen}",
                *verdict.where,
                severity=rule.severity,
                confidence=verdict.confidence,
                hint=rule.reason,
                rule=rule.text,
                expected=verdict.expected,
                seen=verdict.seen,
            )


def policy_moot(subject: Subject) -> Iterator[Finding]:
    """A line of the project's policy says nothing of this checkpoint.

    What it finds: Rules that speak of tensors that are not there, or of figures that headers and
    config do not tell.
    Why it matters: A rule that is never held against anything passes for ever: a name with a slip
    in it, or a model of another make.
    Example: `"model.layer.*" are BF16`: no tensor's name matches model.layer.*.
    What to do: Mend the rule, or give it a `path` of the sources that it speaks of.
    """
    for rule, verdict in _verdicts(subject):
        if verdict.moot:
            yield MOOT.finding(
                f"policy: {rule.text}: {verdict.moot}",
                hint="mend the rule, or give it a path of the sources that it speaks of",
                rule=rule.text,
            )


def _verdicts(subject: Subject) -> Iterator[tuple[Rule, Verdict]]:
    from ckptscan.checks.policy import judge

    for rule in subject.given.policy or ():
        verdict = judge(subject, rule.assertion)
        if verdict is not None:
            yield rule, verdict


VIOLATED = Check("P001", "policy-violated", "error", policy_violated, "policy")
MOOT = Check("P002", "policy-moot", "warning", policy_moot, "policy")

CHECKS: tuple[Check, ...] = (VIOLATED, MOOT)

"""Verdicts on how weights are stored: quantized, dequantized, packed anew, cast."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ckptscan.diff.case import Case, elements
from ckptscan.diff.tuned import fit_words, proof_of
from ckptscan.diff.values import (
    BY_SAMPLES,
    CAST,
    CONTENT,
    HEADERS,
    PROVED,
    REQUANTIZED,
    Change,
    Verdict,
)

_FEW = 0.05  # of the elements that both have: less is no verdict
_MOST = 0.95


def quantized(case: Case) -> Iterator[Verdict]:
    """Weights are stored in another scheme."""
    schemes: dict[tuple[str, str, str], list[Change]] = {}
    for one in case.matched:
        fact = one.fact(REQUANTIZED)
        if fact:
            a, b = one.a[0].unit.packing is not None, one.b[0].unit.packing is not None
            what = "requantized" if a and b else "quantized" if b else "dequantized"
            schemes.setdefault((what, fact.before, fact.after), []).append(one)
    most = sorted(schemes.items(), key=lambda one: -sum(elements(each.a) for each in one[1]))
    for (what, before, after), some in most[:2]:
        if sum(elements(one.a) for one in some) < _FEW * case.common:
            continue
        told = f"from {before} to {after}" if what != "quantized" else f"to {after}"
        is_other = any(one.fact(CONTENT) for one in some)
        is_one = case.is_one_model and not is_other
        text = f"B is A {what} {told}" if is_one else f"weights are {what} {told}"
        if case.share(REQUANTIZED) < 0.5:
            text = f"a part of A is {what} {told}"
        words = "of other numbers" if is_other else fit_words(some)
        yield Verdict(what, ": ".join(filter(None, (text, words))), _fit_proof(some))


def _fit_proof(some: list[Change]) -> str:
    """On what it rests that codes stand for the other side's numbers."""
    if any(one.fact(CONTENT) for one in some):
        return PROVED
    if not fit_words(some):
        return HEADERS
    is_whole = all(found.proof == "bytes" for one in some if (found := one.evidence.found))
    return PROVED if is_whole else BY_SAMPLES


def cast(case: Case) -> Iterator[Verdict]:
    """Elements are stored in another dtype."""
    casts: Counter[tuple[str, str]] = Counter()
    for one in case.matched:
        fact = one.fact(CAST)
        if fact and not one.fact(REQUANTIZED):
            casts[fact.before, fact.after] += elements(one.a)
    for (before, after), count in casts.most_common(1):
        share = count / case.common if case.common else 0
        if share > _MOST:
            some = [one for one in case.matched if one.fact(CAST)]
            proof = proof_of(some)
            is_one = case.is_one_model and not any(one.fact(CONTENT) for one in some)
            text = f"B is A cast to {after}" if is_one else f"cast from {before} to {after}"
            yield Verdict("cast", text, proof)
        elif share > _FEW:
            plain = "the rest" if case.share(REQUANTIZED) > 0.5 else "a part of A"
            text = f"{plain} is cast from {before} to {after}"
            yield Verdict(
                "part-cast", text, proof_of(one for one in case.matched if one.fact(CAST))
            )

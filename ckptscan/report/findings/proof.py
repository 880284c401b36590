"""The four-way proof in words: a line with the verdict, and where the four do not agree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ckptscan.checks import Amiss, Proof
from ckptscan.report import words
from ckptscan.report.findings import places

SHOWN = 3  # places of each list
_VERDICTS = {
    "proved": "all agree",
    "partly": "none differs; partly proved",
    "differs": "they differ",
    "not understood": "the others agree",
}


def lines(proof: Proof) -> Iterator[str]:
    """The verdict on one line; then what is missing, beyond, mis-shaped or in another file."""
    unseen = proof.verdict == "differs" and not proof.differences and not proof.lacking_bytes
    verdict = "not all could be read" if unseen else _VERDICTS[proof.verdict]
    yield f"proof: {', '.join(_told(proof))}: {verdict}"
    for name, found in (
        ("missing", proof.missing),
        ("unexpected", proof.unexpected),
        ("mis-shaped", proof.mis_shaped),
        ("mis-sharded", proof.mis_sharded),
    ):
        yield from _list(name, found)


def _told(proof: Proof) -> Iterator[str]:
    """What each of the four says."""
    if proof.reason:
        yield f"config not understood ({words.printable(proof.reason)})"
    else:
        yield f"config promises {words.plural(proof.promised, 'tensor')}"
    if proof.index is not None:
        yield f"index {proof.index:,}"
    yield f"headers {proof.headers:,}"
    if not proof.reason and (proof.shaped != proof.headers or proof.verdict != "proved"):
        share = words.share(proof.shaped_bytes, proof.nbytes)
        yield f"{proof.shaped:,} of the promised shape ({share} of the bytes)"
    if proof.lacking_bytes:
        yield f"files lack {proof.lacking_bytes:,} bytes"
    else:
        yield "files hold all bytes"


def _list(name: str, found: Sequence[Amiss]) -> Iterator[str]:
    for one in found[:SHOWN]:
        why, own = places.plain(one.why), one.where.pattern or one.where.tensor
        is_named = bool(own) and why.startswith(f"{places.plain(own or '')} ")
        yield f"  {name}: {why}" if is_named else f"  {name}: {places.place(one.where)}: {why}"
    if len(found) > SHOWN:
        yield f"  {name}: {words.plural(len(found) - SHOWN, 'more place')}"

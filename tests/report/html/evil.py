"""Pages of which every text that comes from outside is meant to break out of its place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

from ckptscan.checkpoint import load
from ckptscan.checks import Crash, Finding, Skip, Where, audit
from ckptscan.diff import compare
from ckptscan.plan import Ask, MemoryPlan, plan
from ckptscan.plan.values import Row, Section
from ckptscan.report import Layout, diff, findings, plans, report
from ckptscan.structure import Structure, describe
from tests.conftest import file_of, source_of
from tests.report.findings.making import PROOF

EVIL = "\"'><img src=x onerror=alert(1)></script><script>alert(2)</script><!--\x1b[2J\u202e"
CONFIG = {
    "model_type": "llama",
    "hidden_size": 16,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "num_hidden_layers": 4,
    "vocab_size": 64,
    "max_position_embeddings": 128,
}
_STRINGS = ("architectures", "torch_dtype", "transformers_version", "rope_scaling", EVIL)


def structure(dtype: str = "F16", layers: int = 4) -> Structure:
    """A checkpoint whose names, file names, metadata, index, config and title are hostile."""
    tensors = {
        "model.embed_tokens.weight": (dtype, [64, 16]),
        **{
            f"model.layers.{n}.{part}.weight": (dtype, [16, 16])
            for n in range(layers)
            for part in ("self_attn.q_proj", EVIL)
        },
        EVIL: (dtype, [layers]),
    }
    config = CONFIG | dict.fromkeys(_STRINGS, f"{EVIL}{dtype}")
    config |= {"quantization_config": {"quant_method": EVIL, "bits": EVIL, EVIL: EVIL}}
    files = {
        f"{EVIL}.safetensors": file_of(tensors, {"format": EVIL, EVIL: EVIL}),
        "config.json": json.dumps(config).encode(),
        f"{EVIL}.bin": b"x",
    }
    return describe(load(source_of(files, EVIL)))


def pages() -> Iterator[tuple[str, str]]:
    """The page of each command, by its name."""
    ours, theirs = structure(), structure("F32", 6)
    yield "inspect", "\n".join(report(ours, "html", Layout()))
    yield "audit", "\n".join(findings.report([_audit(ours), _audit(theirs)], "html", None))
    yield "diff", "\n".join(diff.report(compare(ours, theirs), "html", diff.Look()))
    held = [_plan(plan(ours, Ask())), plan(ours, Ask())]
    yield "plan", "\n".join(plans.report(ours.checkpoint, held, "html", plans.Shown()))


def _audit(subject: Structure) -> findings.Audit:
    where = tuple(Where(EVIL, EVIL, EVIL, (EVIL,)) for _ in range(9))
    extra = Finding("X005", EVIL, "error", EVIL, EVIL, where, {EVIL: EVIL}, EVIL)
    found = audit(subject)
    return replace(
        found,
        findings=(*found.findings, extra),
        known=(extra,),
        skipped=(Skip("I001", EVIL),),
        crashed=(Crash("S001", EVIL, EVIL),),
        proof=PROOF,
    )


def _plan(made: MemoryPlan) -> MemoryPlan:
    rank = made.ranks[0]
    terms = tuple(term._replace(name=EVIL, formula=EVIL) for term in rank.terms)
    return replace(
        made,
        engine=EVIL,
        ranks=(replace(rank, terms=(*rank.terms, *terms), how=EVIL),),
        why_not=(EVIL,),
        advice=(EVIL,),
        assumptions=(EVIL,),
        expected=(EVIL,),
        left_out=terms,
        sections=(Section("evil", EVIL, (Row(EVIL, 1, EVIL, EVIL, EVIL),), (EVIL,)),),
        kv=made.kv._replace(dtype=EVIL, formula=EVIL, label=EVIL, groups=(EVIL,)),
        unserved=EVIL,
    )

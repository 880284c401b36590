"""E004, E006: tensors that no inference reads."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ckptscan.checks.evidence.buffers import made_anew, take_room
from ckptscan.checks.places import bounded, place_of
from ckptscan.checks.values import INFERRED, Check, Finding, Subject
from ckptscan.structure import Family

# optimizer.state.0.exp_avg, model.norm.weight.exp_avg_sq, ema_model.layers.0.weight
TRAINING = re.compile(
    r"(?:^|\.)(?:exp_avg(?:_sq)?|max_exp_avg_sq|momentum_buffer|optimizers?|optim|optimizer_state|"
    r"lr_scheduler|scheduler|grad_scaler|param_groups|master_params?|fp32_master|model_ema|"
    r"ema_model|ema_params?|grads?|gradients?)(?:\.|$)"
)


def training_state(subject: Subject) -> Iterator[Finding]:
    """Tensors of an optimizer, a scheduler or an average stand among the weights.

    What it finds: names like `exp_avg`, `momentum_buffer`, `optimizer.`, `model_ema.`.
    Why it matters: Adam's two moments treble a download, and nothing reads them but a training
    run; an average may be the weights that are wanted.
    Example: 582 tensors of training with 26,953,678,848 bytes, such as optimizer.state.*.exp_avg.
    What to do: save the model alone.
    """
    found = [family for family in subject.structure.families if TRAINING.search(family.pattern)]
    yield from _told(TRAINING_STATE, found, "tensors of training", "save the model alone")


def stored_buffer(subject: Subject) -> Iterator[Finding]:
    """Tables that the model computes anew take room.

    What it finds: rotary tables, causal masks and the like with more than 1 MiB together; smaller
    ones stored-buffers tells of.
    Why it matters: a mask for each layer takes a megabyte a layer, in the download and in memory.
    Example: 48 recomputable buffers with 50,331,648 bytes, such as h.*.attn.bias.
    What to do: register them as not persistent, and save again.
    """
    found = made_anew(subject.structure)
    if take_room(found):
        hint = "register them as not persistent, and save again"
        yield from _told(BUFFER, found, "recomputable buffers", hint)


def _told(check: Check, families: Sequence[Family], noun: str, hint: str) -> Iterator[Finding]:
    if families:
        count = sum(family.count for family in families)
        nbytes = sum(family.nbytes for family in families)
        yield check.finding(
            f"{count:,} {noun} with {nbytes:,} bytes, such as {families[0].pattern}",
            *bounded(map(place_of, families)),
            confidence=INFERRED,
            hint=hint,
            tensors=count,
            bytes=nbytes,
        )


TRAINING_STATE = Check("E004", "training-state", "warning", training_state)
BUFFER = Check("E006", "stored-buffer", "info", stored_buffer)

CHECKS: tuple[Check, ...] = (TRAINING_STATE, BUFFER)

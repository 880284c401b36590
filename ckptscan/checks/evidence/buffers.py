"""Tables that a model computes anew whenever it is made: which families hold them."""

from __future__ import annotations

from collections.abc import Iterable

from ckptscan.late import Late
from ckptscan.structure import Family, Structure

# rotary_emb.inv_freq, position_ids, rope.freqs, attn.masked_bias; not what training counts or
# averages: running_mean, codebooks, num_batches_tracked
_MADE_ANEW = Late(
    r"(?:^|\.)(?:inv_freq|position_ids|token_type_ids|freqs|freqs_cis|masked_bias|causal_mask|"
    r"attention_mask|attn_mask|(?:cos|sin)_cached|relative_position_index)$"
)
_ROLES = ("buffer", "rope", "other")
_LARGE = 1 << 20  # bytes; fewer cost nobody anything


def made_anew(structure: Structure) -> list[Family]:
    """Families of tables that are computed, by their names; masks of GPT-2 by their four axes."""
    return [
        family
        for family in structure.families
        if structure.role(family) in _ROLES
        and (_MADE_ANEW.search(family.pattern) or _is_mask(structure, family))
    ]


def take_room(families: Iterable[Family]) -> bool:
    """Whether their bytes are worth a word: more than 1 MiB together."""
    return sum(family.nbytes for family in families) > _LARGE


def _is_mask(structure: Structure, family: Family) -> bool:
    """h.*.attn.bias of shape [1, 1, 1024, 1024]."""
    is_square = len(family.shape) == 4 and family.shape[:2] == (1, 1)
    return is_square and structure.role(family) == "buffer" and family.pattern.endswith("bias")

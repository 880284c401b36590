"""Rotary tables: the cosines and sines that an engine keeps for every position.

One table for each distinct rope of a model, shared by its layers: positions x rotary width x
dtype. What is computed in between, in 32 bits, is freed again and later reused by weights.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from ckptscan.plan.facts import SLIDING, Facts
from ckptscan.structure import Attention

MROPE_ROWS = 4  # vLLM's MRotaryEmbedding since 0.8: 4 x max_position_embeddings
_ROTARY = ("rope_theta", "rope_scaling", "rope_parameters", "rotary_dim", "rotary_pct",
           "rotary_emb_base", "partial_rotary_factor", "rotary", "attn_rotary_emb")  # fmt: skip


class Table(NamedTuple):
    """One table: its rows and columns, bytes of an entry, and why it has that size.

    `is_local` marks the table of layers with a window, which are made with a base of their own.
    `scaling` is how its positions are stretched, on which depends what is computed in between.
    """

    rows: int
    columns: int
    width: int
    how: str
    is_local: bool = False
    scaling: str = ""

    @property
    def nbytes(self) -> int:
        """Bytes of the table itself."""
        return self.rows * self.columns * self.width


class Keeper(Protocol):
    """What an engine's version tells of its tables."""

    @property
    def mrope_rows(self) -> int:
        """How many rows a position has where text and images rotate apart."""

    @property
    def long_copies(self) -> int:
        """How often the tables of long RoPE are kept."""


def rope_tables(
    facts: Facts, attention: tuple[Attention, ...], width: int, keeper: Keeper
) -> tuple[Table, ...]:
    """The tables of the language model's layers; empty where positions are not rotated."""
    columns = _columns(facts, attention)
    positions = facts.positions
    if columns is None or positions is None or not _rotates(facts, attention):
        return ()
    tables = [_table(facts, positions, columns, width, keeper.mrope_rows)]
    if facts.rope_type == "longrope":
        return tuple(tables * keeper.long_copies)
    if _has_local(facts):
        how = f"{positions:,} positions, local layers"
        tables.append(Table(positions, columns, width, how, is_local=True))
    return tuple(tables)


def _has_local(facts: Facts) -> bool:
    """Whether sliding layers rotate by a base of their own (Gemma-3)."""
    said = facts.config.said("rope_parameters")
    if isinstance(said, dict) and isinstance(said.get("sliding_attention"), dict):
        return bool(said["sliding_attention"] != said.get("full_attention"))
    layers = facts.inventory.layers
    has_sliding = any(facts.reach(index, layers) == SLIDING for index in range(min(layers, 64)))
    keys = ("rope_local_base_freq", "local_rope_theta")
    has_base = facts.config.said(*keys) is not None or facts.number(*keys) is not None
    return has_sliding and has_base


def _table(facts: Facts, positions: int, columns: int, width: int, mrope_rows: int) -> Table:
    """The table of the layers that look everywhere."""
    kind, factor = facts.rope_type, facts.rope_factor
    is_multiple = "mrope_section" in facts.rope
    if kind == "yarn":
        base = facts.original_positions or positions
        rows = int(base * factor) * (mrope_rows if is_multiple else 1)
        how = f"{base:,} positions x {factor:g} by YaRN"
        return Table(rows, columns, width, how, scaling=kind)
    if is_multiple and mrope_rows > 1:
        how = f"{mrope_rows} x {positions:,} positions (MRoPE)"
        return Table(mrope_rows * positions, columns, width, how)
    if kind in ("linear", "dynamic") and factor != 1:
        how = f"{positions:,} positions x {factor:g} by {kind} scaling"
        return Table(int(positions * factor), columns, width, how, scaling=kind)
    if kind == "longrope":
        short = facts.original_positions or positions
        return Table(short + positions, columns, width,
                     f"short {short:,} and long {positions:,} positions")  # fmt: skip
    return Table(positions, columns, width, f"{positions:,} positions")


def _columns(facts: Facts, attention: tuple[Attention, ...]) -> int | None:
    """The width of a head that is rotated."""
    for one in attention:
        if one.latent is not None:
            return one.latent.rope
    declared = facts.config.number("rotary_dim")
    if declared is not None:
        return declared
    sizes = [one.head_dim for one in attention if one.head_dim is not None]
    if not sizes:
        return None
    return int(sizes[0] * _part(facts))


def _part(facts: Facts) -> float:
    """The share of a head's width that is rotated."""
    said = facts.config.said("partial_rotary_factor", "rotary_pct", "rotary_emb_fraction")
    if said is None:
        said = facts.rope.get("partial_rotary_factor")
    is_share = isinstance(said, int | float) and not isinstance(said, bool) and 0 < said <= 1
    return float(said) if is_share else 1.0  # type: ignore[arg-type]  # a number, as just asked


def _rotates(facts: Facts, attention: tuple[Attention, ...]) -> bool:
    """Whether the model rotates at all, rather than adding positions or biases (GPT-2, MPT)."""
    if _says_otherwise(facts):
        return False
    if any(one.latent is not None for one in attention):
        return True
    if facts.config.said(*_ROTARY) is not None:
        return True
    if facts.inventory.of_role("ssm"):
        return False  # Jamba: its states know the order
    return not facts.inventory.of_role("position") and facts.positions is not None


def _says_otherwise(facts: Facts) -> bool:
    """Whether config tells of other positions, or of none (Granite-4.0-H, Kimi-Linear)."""
    if facts.config.flag("alibi") or facts.config.said("alibi_bias_max") is not None:
        return True
    kind = facts.config.said("position_embedding_type")
    is_other = isinstance(kind, str) and kind not in ("rope", "rotary")
    return is_other or facts.config.flag("mla_use_nope") is True

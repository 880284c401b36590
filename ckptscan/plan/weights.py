"""What one rank loads: parameters, rotary tables, and what torch hands out for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from ckptscan.hardware import Allocator
from ckptscan.plan.facts import SLIDING
from ckptscan.plan.inventory import Module
from ckptscan.plan.loading import Loaded, Loader, load_modules, tower_blocks
from ckptscan.plan.lora import lora_terms
from ckptscan.plan.model import Model
from ckptscan.plan.parameters import Parameter
from ckptscan.plan.pieces import in_words
from ckptscan.plan.rope import Table, rope_tables
from ckptscan.plan.sharding import WHOLE, Cut
from ckptscan.plan.values import Ask, Term
from ckptscan.structure import Attention

SCALAR = 4  # a tensor of one float; the allocator makes 512 bytes of it
_BEFORE_ROPE = frozenset(
    "q_a q_b q k v qkv kv kv_a kv_b o qk_norm sinks attention attention_gate linear_attention ssm "
    "conv".split()
)


class Profile(Protocol):
    """What an engine tells of how it loads."""

    @property
    def scalars(self) -> int:
        """Tensors of one number that each attention layer keeps on the card."""

    @property
    def max_split(self) -> int | None:
        """From which size the allocator keeps blocks whole while loading."""

    @property
    def mrope_rows(self) -> int:
        """Rows of a position where text and images rotate apart."""

    @property
    def long_copies(self) -> int:
        """How often the tables of long RoPE are kept."""

    @property
    def logs_segments(self) -> bool:
        """Whether it measures what the driver gave away, not what torch handed out."""

    def loader(self, model: Model, ask: Ask) -> Loader:
        """How it holds tensors."""

    def table_width(self, model: Model, width: int) -> int:
        """Bytes of an entry of the rotary tables."""

    def workspace(self, model: Model) -> int:
        """Bytes that its kernels for attention take as they are imported."""

    def latent_copies(self, one: Attention, kv_b: Module, width: int, tp: int) -> tuple[int, ...]:
        """Bytes of what a layer keeps of kv_b_proj in the form that decoding uses."""


class Stage(NamedTuple):
    """Which stage a rank is in, its layers, how many stages there are."""

    place: int
    layers: Sequence[int]
    stages: int

    @property
    def is_last(self) -> bool:
        """Whether the head lies here."""
        return self.place == self.stages - 1


class _Made(NamedTuple):
    """What was allocated: all parameters, tables, and the allocator that gave them out."""

    loaded: Loaded
    groups: Counter[str]
    tables: tuple[Table, ...]
    scalars: int
    copies: int
    workspace: int
    allocator: Allocator


def weight_terms(
    engine: Profile, model: Model, ask: Ask, cut: Cut, place: tuple[int, Sequence[int], int]
) -> tuple[Term, ...]:
    """The terms of what one rank loads; their sum is what the engine logs."""
    made = _make(engine, model, ask, cut, Stage(*place))
    loaded = made.loaded
    is_whole = cut == WHOLE and place[2] == 1 and not loaded.changes
    label = "exact" if is_whole else "engine"
    how = "as stored" if is_whole else _cut_in_words(cut, place)
    pieces = in_words(loaded.parameters)
    terms = []
    for group, nbytes in made.groups.items():
        said = model.assumed.get(group)
        if said is None:
            terms.append(Term(group, nbytes, f"{pieces[group]}; {how}", label))
        else:
            whole_words = said if is_whole else f"{said}; {how}"
            terms.append(Term(group, nbytes, whole_words, "assumed"))
    terms += _beside(made, model)
    adapters = lora_terms(model, ask.what_if, cut, place[1])
    asked = sum(term.nbytes for term in terms)
    given = made.allocator.allocated
    if engine.logs_segments:
        made.allocator.empty_cache()
        given = made.allocator.reserved
    rounding = given - asked
    regime = ", blocks of 20 MiB and more kept whole" if engine.max_split else ""
    what = "segments of 2 MiB" if engine.logs_segments else "blocks of 512 B"
    how = f"torch hands out {what} and more{regime}; {given:,} B"
    terms.append(Term("allocator rounding", rounding, how, "engine", "rounding"))
    if ask.weight_bytes is not None:
        return (Term("weights", ask.weight_bytes, "as given", "assumed"), *adapters)
    return tuple(term for term in (*terms, *adapters) if term.nbytes)


def _cut_in_words(cut: Cut, place: tuple[int, Sequence[int], int]) -> str:
    parts = [f"tp {cut.tp}"] if cut.tp > 1 else []
    if cut.dense_tp != cut.tp:
        parts.append(f"tp {cut.dense_tp} outside of attention")
    parts += [f"experts over {cut.ep} ranks"] if cut.ep > 1 else []
    if cut.moe_tp not in (1, cut.tp, cut.dense_tp):
        parts.append(f"experts cut {cut.moe_tp} ways")
    if place[2] > 1:
        parts.append(f"stage {place[0] + 1} of {place[2]}, {len(place[1])} layers")
    return ", ".join(parts) or "as the engine holds it"


def _beside(made: _Made, model: Model) -> list[Term]:
    """What a rank holds beside the checkpoint's weights."""
    terms = [
        Term(
            "rotary table",
            table.nbytes,
            f"{table.how} x {table.columns} x {table.width} B",
            "config",
            "rope",
        )
        for table in made.tables
    ]
    if made.workspace:
        how = "FlashInfer's buffer for latent attention, taken whichever kernel runs"
        terms.append(Term("attention workspace", made.workspace, how, "engine", "kernel"))
    if made.copies:
        how = "kv_b_proj once more, in forms that decoding multiplies with"
        terms.append(Term("MLA decoding copy", made.copies, how, "engine", "kernel"))
    padding = sum(one.padding for one in made.loaded.parameters)
    most = sum(one.most for one in made.loaded.parameters)
    if most:
        how = f"weights and scales as the kernel pads them; other kernels take 0 to {most:,} B"
        terms.append(Term("kernel padding", padding, how, "engine", "kernel", 0, most))
    if made.scalars:
        how = f"{made.scalars // SCALAR} scales of one float"
        terms.append(Term("attention scales", made.scalars, how, "engine", "kernel"))
    return terms


def _make(engine: Profile, model: Model, ask: Ask, cut: Cut, stage: Stage) -> _Made:
    """Allocate everything of one rank in the order in which vLLM does."""
    loader, loaded = engine.loader(model, ask), Loaded()
    allocator, groups = Allocator(engine.max_split), Counter[str]()
    if workspace := engine.workspace(model):
        allocator.allocate(workspace)
    width = engine.table_width(model, loader.width)
    tables = rope_tables(model.facts, model.attention, width, engine)
    for block in tower_blocks(model.inventory):
        if stage.place == 0 or _is_text(block):
            _allocate(_outside(block, model, stage), loader, cut, loaded, allocator, groups)
    kinds: dict[int, tuple[list[Parameter], list[Parameter]]] = {}
    scalars = copies = 0
    waiting = list(tables)
    for index in stage.layers:
        place = model.inventory.kind_of[index]
        if place not in kinds:
            kinds[place] = _layer(model.inventory.kinds[place].modules, loader, cut, loaded)
        else:
            again = kinds[place]
            loaded.parameters += [*again[0], *again[1]]
        before, after = kinds[place]
        _take(before, allocator, groups)
        for table in _due(waiting, model, index) if waiting else ():
            _allocate_table(table, allocator)
        copies += _copy(engine, model, index, (loader.width, cut), allocator)
        if engine.scalars and _attends(model, index):
            scalars += SCALAR * engine.scalars
            for _ in range(engine.scalars):
                allocator.allocate(SCALAR)
        _take(after, allocator, groups)
    if stage.is_last:
        _allocate(_ends(model, stage), loader, cut, loaded, allocator, groups)
    return _Made(loaded, groups, tables, scalars, copies, workspace, allocator)


def _layer(
    modules: Sequence[Module], loader: Loader, cut: Cut, loaded: Loaded
) -> tuple[list[Parameter], list[Parameter]]:
    """The parameters of a layer before and after its rotary table is made."""
    start = len(loaded.parameters)
    load_modules([m for m in modules if m.role in _BEFORE_ROPE], loader, cut, loaded)
    middle = len(loaded.parameters)
    load_modules([m for m in modules if m.role not in _BEFORE_ROPE], loader, cut, loaded)
    return loaded.parameters[start:middle], loaded.parameters[middle:]


def _is_text(block: Sequence[Module]) -> bool:
    return all(module.tower == "text" for module in block)


def _outside(block: Sequence[Module], model: Model, stage: Stage) -> list[Module]:
    """What of a block outside the stack is made before it: the tables on the first stage."""
    if not _is_text(block):
        return list(block)
    return [m for m in block if stage.place == 0 and m.role not in ("norm", "lm_head")]


def _ends(model: Model, stage: Stage) -> list[Module]:
    """What is made after the layers: the last norm and the head; a tied table once more."""
    text = [m for m in model.inventory.outside if m.tower == "text"]
    ends = [m for m in text if m.role in ("norm", "lm_head")]
    if model.facts.is_tied and stage.stages > 1:
        ends += [m for m in text if m.role == "embedding"]
    return ends


def _allocate(
    modules: Sequence[Module],
    loader: Loader,
    cut: Cut,
    loaded: Loaded,
    allocator: Allocator,
    groups: Counter[str],
) -> None:
    start = len(loaded.parameters)
    load_modules(modules, loader, cut, loaded)
    _take(loaded.parameters[start:], allocator, groups)


def _take(parameters: Sequence[Parameter], allocator: Allocator, groups: Counter[str]) -> None:
    for one in parameters:
        allocator.allocate(one.nbytes)
        groups[one.group] += one.nbytes - one.padding


def _allocate_table(table: Table, allocator: Allocator) -> None:
    """A table is computed in 32 bits; what that took is free for later weights.

    Angles, cosines and sines are half as wide each; YaRN scales these once more, linear scaling
    joins the tables of its factors.
    """
    half = table.rows * table.columns // 2 * 4
    passing = [allocator.allocate(size) for size in (table.columns * 2, table.rows * 4, half)]
    for _ in range(2):  # cosines, sines
        plain = allocator.allocate(half)
        if table.scaling == "yarn":
            passing.append(allocator.allocate(half))
            allocator.free(plain)
        else:
            passing.append(plain)
    joined = allocator.allocate(2 * half)
    if table.scaling == "linear":
        passing.append(joined)
        joined = allocator.allocate(2 * half)
    for handle in passing:
        allocator.free(handle)
    if table.width != 4:
        allocator.allocate(table.nbytes)
        allocator.free(joined)


def _due(tables: list[Table], model: Model, index: int) -> list[Table]:
    """The tables that the first layers of their kind make; the rest stays in the list."""
    is_local = model.facts.reach(index, model.inventory.layers) == SLIDING
    has_local = any(table.is_local for table in tables)
    due = [table for table in tables if not has_local or table.is_local == is_local]
    tables[:] = [table for table in tables if table not in due]
    return due


def _copy(
    engine: Profile, model: Model, index: int, held: tuple[int, Cut], allocator: Allocator
) -> int:
    """What decoding multiplies with in place of kv_b_proj, where the engine keeps it apart."""
    one = model.attention_of(index)
    if one is None or one.latent is None:
        return 0
    modules = model.inventory.modules_of(index)
    kv_b = next((module for module in modules if module.role == "kv_b"), None)
    if kv_b is None:
        return 0
    copies = engine.latent_copies(one, kv_b, held[0], held[1].tp)
    for nbytes in copies:
        allocator.allocate(nbytes)
    return sum(copies)


def _attends(model: Model, index: int) -> bool:
    one = model.attention_of(index)
    return one is not None and one.kind not in ("linear", "ssm", "none")


def whole(engine: Profile, model: Model, ask: Ask) -> Loaded:
    """The model as one card would hold it: what is changed beside what is stored."""
    loader, loaded = engine.loader(model, ask), Loaded()
    for kind in model.inventory.kinds:
        one = Loaded()
        load_modules(kind.modules, loader, WHOLE, one)
        count = len(kind.indices)
        loaded.changes.update({name: size * count for name, size in one.changes.items()})
        loaded.parameters += one.parameters * count
    load_modules(model.inventory.outside, loader, WHOLE, loaded)
    return loaded

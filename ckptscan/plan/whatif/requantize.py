"""A model -> the same model with other tensors for its weights, as a quantizer would write it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

from ckptscan.names import IndexSet
from ckptscan.plan.inventory import Inventory, LayerKind, Leaf, Module
from ckptscan.plan.loading import group_of
from ckptscan.plan.model import Model
from ckptscan.plan.sharding import is_routed, is_stack, out_and_in
from ckptscan.plan.values import Term
from ckptscan.plan.whatif.formats import Format, Part, packed
from ckptscan.plan.whatif.recipe import Place, Recipe
from ckptscan.plan.whatif.stacks import as_stacks, blocks

_FLOATS = ("F16", "BF16")


@dataclass
class _Made:
    """What became of each group: weights and bytes by format, bytes before, bytes kept."""

    weights: dict[str, Counter[str]] = field(default_factory=dict)
    formulas: dict[str, str] = field(default_factory=dict)
    schemes: set[str] = field(default_factory=set)
    before: Counter[str] = field(default_factory=Counter)
    after: Counter[str] = field(default_factory=Counter)

    def note(self, old: Module, new: Module, chosen: Format | None, times: int) -> None:
        """Count a module that stands so often."""
        group = group_of(old)
        self.before[group] += times * sum(leaf.nbytes for leaf in old.leaves)
        self.after[group] += times * sum(leaf.nbytes for leaf in new.leaves)
        if chosen is None or new is old or old.shape is None:
            return
        numel = times
        for size in old.shape:
            numel *= size
        self.weights.setdefault(group, Counter())[chosen.name] += numel
        self.formulas[chosen.name] = chosen.formula
        if chosen.scheme:
            self.schemes.add(chosen.scheme)


def requantized(model: Model, recipe: Recipe) -> Model:
    """The model as it would be stored; its terms are labelled assumed, with the rule."""
    made = _Made()
    hidden, is_tied = model.facts.hidden, model.facts.is_tied
    old = model.inventory
    kinds: list[LayerKind] = []
    for kind in old.kinds:
        kinds += _kinds(kind, recipe, (old.layers, hidden), made)
    kinds.sort(key=lambda kind: next(iter(kind.indices)))
    outside = []
    for module in old.outside:
        place = Place(is_head=is_tied and module.role == "embedding")
        chosen = recipe.format_of(module, place, hidden)
        new = _stored(module, chosen, recipe, hidden)
        made.note(module, new, chosen, module.times)
        outside.append(new)
    inventory = Inventory(old.container, tuple(kinds), tuple(outside))
    return replace(
        model,
        inventory=inventory,
        facts=replace(model.facts, inventory=inventory),
        assumed={group: _words(made, group) for group in made.weights},
        changed=tuple(_changes(made, recipe)),
        schemes=tuple(sorted(made.schemes)),
    )


def _kinds(
    kind: LayerKind, recipe: Recipe, sizes: tuple[int, int | None], made: _Made
) -> list[LayerKind]:
    """The kinds that one kind of layer becomes: several where the format differs by layer."""
    layers, hidden = sizes
    by_formats: dict[tuple[str, ...], list[int]] = {}
    chosen_of: dict[tuple[str, ...], list[Format | None]] = {}
    for index in kind.indices:
        chosen = [recipe.format_of(one, Place(index, layers), hidden) for one in kind.modules]
        key = tuple(one.name if one is not None else "" for one in chosen)
        by_formats.setdefault(key, []).append(index)
        chosen_of[key] = chosen
    found = []
    for key, indices in by_formats.items():
        modules = []
        for module, one in zip(kind.modules, chosen_of[key], strict=True):
            new = _stored(module, one, recipe, hidden)
            made.note(module, new, one, module.times * len(indices))
            modules.append(new)
        found.append(LayerKind(IndexSet.of(indices), as_stacks(modules, hidden)))
    return found


def _stored(module: Module, chosen: Format | None, recipe: Recipe, hidden: int | None) -> Module:
    """A module with the tensors of its new format."""
    sizes = out_and_in(module, hidden)
    if chosen is None or sizes is None:
        return _widened(module) if recipe.is_gguf and module.tower == "text" else module
    lead = module.shape[:1] if is_stack(module) and module.shape is not None else ()
    is_turned = module.shape is not None and module.shape[-2:] != sizes
    biases = tuple(
        leaf for leaf in module.leaves if leaf.name.endswith("bias") and leaf.role == module.role
    )
    stem = _stem(module)
    if lead and chosen.name == "mxfp4" and module.role in ("expert.gate_up", "expert.down"):
        leaves = blocks(stem, module.role, (lead[0], *sizes))
    else:
        parts = _rows(chosen, sizes) if lead and chosen.is_flat else chosen.parts(*sizes)
        leaves = tuple(_leaf(part, module.role, lead, stem, is_turned) for part in parts)
    return module._replace(leaves=(*leaves, *biases))


def _stem(module: Module) -> str:
    """What the names of a stack's tensors begin with; empty for a module with `weight`."""
    named = [leaf.name for leaf in module.leaves if leaf.role == module.role]
    first = next((name for name in named if not name.endswith("bias")), "weight")
    plain = first.removesuffix("_blocks").removesuffix("_packed")
    return plain if is_routed(module) and is_stack(module) else ""


def _leaf(part: Part, role: str, lead: tuple[int, ...], stem: str, is_turned: bool) -> Leaf:
    shape = part.shape
    if is_turned and not part.is_book and part.name != "qweight" and len(shape) == 2:
        shape = (shape[1], shape[0])
    whole = part._replace(shape=(*lead, *shape))
    name = f"{stem}.{part.name}" if stem else part.name
    return Leaf(
        name, "quantization" if part.is_book else role, part.dtype, whole.shape, whole.nbytes
    )


def _rows(chosen: Format, sizes: tuple[int, int]) -> tuple[Part, ...]:
    """A flat format of a stack, row by row, so that experts can be told apart."""
    out, into = sizes
    plain = chosen.parts(1, into)
    return (
        packed("weight", "U8", (out, plain[0].shape[0])),
        *(Part(f"scale_{part.name[7:]}", part.dtype, (out, part.shape[0])) for part in plain[1:]),
    )


def _widened(module: Module) -> Module:
    """What a GGUF file keeps whole: in 32 bits."""
    leaves = tuple(
        leaf._replace(dtype="F32", nbytes=leaf.numel * 4) if leaf.dtype in _FLOATS else leaf
        for leaf in module.leaves
    )
    return module._replace(leaves=leaves)


def _words(made: _Made, group: str) -> str:
    parts = [
        f"{numel:,} weights x {made.formulas[name]} as {name}"
        for name, numel in made.weights[group].items()
    ]
    return f"{' + '.join(parts)}: {made.after[group]:,} B with what is kept"


def _changes(made: _Made, recipe: Recipe) -> list[Term]:
    """What each group is smaller or larger than it is stored."""
    return [
        Term(f"{group} by --quantize", made.after[group] - made.before[group],
             f"{_words(made, group)}, {made.before[group]:,} B stored"
             if group in made.weights else "norms and routers of GGUF are in 32 bits", "assumed")
        for group in made.before
        if made.after[group] != made.before[group]
    ]  # fmt: skip

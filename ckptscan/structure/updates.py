"""What an adapter's files hold, module by module: parts of updates, and weights saved whole.

LoRA by the names of PEFT, kohya, diffusers and MLX, with its DoRA magnitudes; LoHa, LoKr, IA3 and
VeRA by their shapes; further kinds by their names alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import prod
from typing import NamedTuple

from ckptscan.late import Late
from ckptscan.names import IndexSet, fill, split_stars
from ckptscan.structure.families import Family

Shape = tuple[int, ...]

# model.layers.*.self_attn.q_proj.lora_A.default.weight -> path, lora_A
_PART = Late(
    r"^(?P<path>.+?)\.(?P<part>"
    r"lora_(?:A|B|E|a|b|down|up|mid|embedding_A|embedding_B|magnitude_vector)"
    r"|lora(?:_linear_layer)?\.(?:down|up)|dora_scale"
    r"|hada_(?:w[12]_[ab]|t[12])|lokr_(?:w[12](?:_[ab])?|t[12])|ia3_l|vera_lambda_[bd]"
    r"|b?oft_[A-Za-z]{1,9}|hra_u|fourierft_spectrum|vblora_logits_[AB]|randlora_(?:lambda|gamma)"
    r"|bone_[a-z_]{1,9}|miss_block|shira_weight|c3a_kernel|trainable_tokens_delta"
    r"|road_(?:theta|alpha)|diff(?:_b)?|alpha)(?:\.[^.]+)?(?:\.weight)?$"
)
# unet.mid_block.attn1.processor.to_q_lora.down.weight, diffusers before PEFT
_PROCESSOR = Late(
    r"^(?P<path>.+)\.processor\.(?P<own>to_[a-z]+)_lora\.(?P<side>down|up)(?:\.weight)?$"
)
_PLAIN = frozenset({"alpha", "diff", "diff_b"})  # other tensors may be called so
_DOWN = frozenset({"lora_A", "lora_down", "lora.down", "lora_linear_layer.down"})
_UP = frozenset({"lora_B", "lora_up", "lora.up", "lora_linear_layer.up"})
# what PEFT puts around the model, and into the paths of what it wraps
_WRAPPED = "base_model.model."
_WRAPPERS = (".modules_to_save", ".base_layer", ".original_module", ".token_adapter")
_LONGEST = 2048


class Update(NamedTuple):
    """The parts that change one module: shapes by what they are (`down`, `up`, `hada_w1_a` ...).

    `path` is the module's as the adapter names it, without PEFT's wrapper. `out` and `inner` are
    the features that its parts ask for, None where they do not tell.
    """

    path: str
    parts: Mapping[str, Shape]

    @property
    def magnitude(self) -> int | None:
        """How many columns or rows DoRA, or IA3, scales; None where nothing does."""
        for name in ("lora_magnitude_vector", "dora_scale", "ia3_l"):
            if name in self.parts:
                return prod(self.parts[name])
        return None

    @property
    def out(self) -> int | None:
        """Features that come out of the module; of a table its rows."""
        parts = self.parts
        if "lora_embedding_A" in parts:
            return _at(parts["lora_embedding_A"], 1)
        if "up" in parts:
            return _at(parts["up"], 1 if self._is_stacked else 0)
        if "lora_b" in parts:
            return _at(parts["lora_b"], 1)
        if "lokr_w1" in parts or "lokr_w1_a" in parts:
            return _times(_at(self._factor("lokr_w1"), 0), _at(self._factor("lokr_w2"), 0))
        if "hada_t1" in parts:
            return None
        return _at(parts.get("hada_w1_a") or parts.get("vera_lambda_b") or (), 0)

    @property
    def inner(self) -> int | None:
        """Features that go into the module; of a table its columns."""
        parts = self.parts
        if "lora_embedding_B" in parts:
            return _at(parts["lora_embedding_B"], 0)
        if "down" in parts:
            return _at(parts["down"], 2 if self._is_stacked else 1)
        if "lora_a" in parts:
            return _at(parts["lora_a"], 0)
        if "lokr_w1" in parts or "lokr_w1_a" in parts:
            return _times(_wide(self._factor("lokr_w1")), _wide(self._factor("lokr_w2")))
        return None if "hada_t1" in parts else _at(parts.get("hada_w1_b") or (), 1)

    @property
    def _is_stacked(self) -> bool:
        """Whether there is a pair for each expert: A [experts, r, in], B [experts, out, r]."""
        down, up = self.parts.get("down", ()), self.parts.get("up", ())
        return len(down) == 3 and len(up) == 3 and (down[0], down[1]) == (up[0], up[2])

    def _factor(self, name: str) -> Shape:
        """The shape of one factor of LoKr, multiplied out where it is two."""
        if name in self.parts:
            return self.parts[name]
        left, right = self.parts.get(f"{name}_a", ()), self.parts.get(f"{name}_b", ())
        if len(left) != 2 or len(right) != 2 or "lokr_t2" in self.parts:
            return ()
        return left[0], right[1]


def _at(shape: Shape, axis: int) -> int | None:
    return shape[axis] if len(shape) > axis else None


def _wide(shape: Shape) -> int | None:
    return prod(shape[1:]) if len(shape) > 1 else None


def _times(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one * other


class Contents(NamedTuple):
    """What an adapter's files hold: updates by module, and the shapes of weights saved whole."""

    updates: tuple[Update, ...]
    saved: Mapping[str, Shape]


def find_updates(families: Iterable[Family]) -> Contents:
    """The updates among these families; none where no tensor is part of one."""
    # experts whose two stacks are changed are wrapped twice: one path, two updates
    parts: dict[tuple[str, str], dict[str, Shape]] = {}
    saved: dict[str, Shape] = {}
    for family in families:
        pattern = family.pattern.removeprefix(_WRAPPED)
        found = _split(pattern)
        if found is not None:
            for path in _filled(_unwrapped(found[0]), family):
                parts.setdefault((path, found[0]), {})[found[1]] = family.shape
        elif pattern.endswith(".weight") and len(family.shape) >= 2:
            for path in _filled(_unwrapped(pattern.removesuffix(".weight")), family):
                saved[path] = family.shape
    updates = tuple(
        Update(path, own) for (path, _), own in parts.items() if own.keys() - {"alpha", "lora_E"}
    )
    is_adapter = any(one.parts.keys() - _PLAIN for one in updates)
    return Contents(updates, saved) if is_adapter else Contents((), {})


def _split(pattern: str) -> tuple[str, str] | None:
    """Path and part of a tensor of an update, None for any other."""
    if len(pattern) > _LONGEST or pattern.endswith(".bias"):
        return None
    old = _PROCESSOR.match(pattern)
    if old is not None:
        own = "to_out.0" if old["own"] == "to_out" else old["own"]
        return f"{old['path']}.{own}", old["side"]
    match = _PART.match(pattern)
    if match is None:
        return None
    part = match["part"]
    return match["path"], "down" if part in _DOWN else "up" if part in _UP else part


def _unwrapped(path: str) -> str:
    """A path without what PEFT wraps modules in; `modules_to_save.default` goes as a whole."""
    path = path.replace(".modules_to_save.default", "")
    for wrapper in _WRAPPERS:
        path = path.replace(f"{wrapper}.", ".").removesuffix(wrapper)
    return path


def _filled(path: str, family: Family) -> Iterator[str]:
    """The path of each module of a family; stars behind the path are an adapter's name."""
    stars = len(split_stars(path)) - 1
    axes: tuple[IndexSet, ...] = family.axes[:stars]
    return (fill(path, indices[:stars], axes) for indices in family.indices())

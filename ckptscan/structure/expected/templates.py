"""What a tensor may look like: candidates for each dimension, and how sure they are."""

from __future__ import annotations

from typing import NamedTuple

from ckptscan.late import Late
from ckptscan.structure.expected.figures import Dim, Dims

Shape = tuple[int, ...]

# attention to what another module gives
CROSS = Late(r"(?i)cross|enc_?dec|encoder_attn|attn2|multihead_attn|_img|image|vision")


class Template(NamedTuple):
    """The candidates of each dimension, in order."""

    dims: tuple[Dims, ...]

    @property
    def is_whole(self) -> bool:
        """Whether each dimension has a candidate."""
        return all(self.dims)

    def fits(self, shape: Shape) -> bool:
        """Whether a shape is among what the candidates give."""
        return len(shape) == len(self.dims) and all(
            length in {dim.value for dim in dims}
            for length, dims in zip(shape, self.dims, strict=True)
        )

    def words(self) -> str:
        """The first candidate of each dimension as a formula."""
        return ", ".join(_told(dims[0]) for dims in self.dims if dims)

    @property
    def shape(self) -> Shape:
        """The first candidate of each dimension."""
        return tuple(dims[0].value for dims in self.dims if dims)


def _told(dim: Dim) -> str:
    is_made = any(sign in dim.words for sign in (" x ", " + ", " / "))
    return f"{dim.words} = {dim.value:,}" if is_made else dim.words


class Place(NamedTuple):
    """What a rule needs to know of a tensor: its role, its names and its shape.

    `module` is the segment that speaks for it, `path` its whole name. `is_turned` where its module
    stores (in, out).
    """

    role: str
    module: str
    path: str
    is_bias: bool
    is_turned: bool
    shape: Shape
    is_in_layer: bool = True


class Rule(NamedTuple):
    """What a tensor may look like; `is_firm` where anything else is wrong.

    `is_assumed` where a figure is not the config's own, but what is usual where it says nothing.
    """

    templates: tuple[Template, ...]
    is_firm: bool
    is_assumed: bool = False


def firm(*dims: tuple[Dims, ...]) -> Rule:
    """A rule that also disproves: a tensor of that role with another shape is wrong."""
    return Rule(_whole(dims), is_firm=True)


def guess(*dims: tuple[Dims, ...]) -> Rule:
    """A rule that only proves, as it guesses among several figures."""
    return Rule(_whole(dims), is_firm=False)


def _whole(dims: tuple[tuple[Dims, ...], ...]) -> tuple[Template, ...]:
    return tuple(template for template in map(Template, dims) if template.is_whole)

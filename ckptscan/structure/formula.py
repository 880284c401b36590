"""The count of parameters as a person would write it: `152064*3584 + 28*((3584+1)*3584 + ...)`.

Follows the annotated tree, in the order of the data. Every number in a formula is a size of a
shape, or how often something stands; the value of each sum is computed from the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import prod
from typing import NamedTuple

from ckptscan.structure.flow import in_order
from ckptscan.structure.tree import MTP, Node


class Product(NamedTuple):
    """One term: `times` x the factors x the sum of the inner terms.

    A factor is a pair of sizes to be added, (3584, 1) for a weight's width and its bias. `label`
    names what is counted. `value` is the whole product.
    """

    times: int
    factors: tuple[tuple[int, ...], ...] = ()
    inner: tuple[Product, ...] = ()
    label: str = ""

    @property
    def value(self) -> int:
        """The number that the term stands for."""
        inner = sum(term.value for term in self.inner) if self.inner else 1
        return self.times * prod(map(sum, self.factors)) * inner


def formula(root: Node) -> tuple[Product, ...]:
    """The terms of a tree's parameters; their values add up to `root.parameters`."""
    own = _own(Node.of("", (root,)), "", 1) if root.ends else ()
    return _merged((*own, *_terms(root, root.path, 1)))


def _terms(node: Node, name: str, outer: int) -> Iterator[Product]:
    """The terms of a node for one of its `outer` instances; runs below are one product each."""
    yield from _own(node, name, outer)
    for child in in_order(node.children, is_layer=node.repeat is not None):
        if child.ends and not child.children:
            continue
        is_run = child.repeat is not None and len(child.repeat) > 1
        index = "*" if is_run else str(child.repeat)
        segment = child.label.replace(f"({child.repeat})", index)
        below = segment if name in ("", MTP) else f"{name}.{segment}"
        if child.repeat is not None and is_run:
            inner = _merged(_terms(child, below, outer * len(child.repeat)))
            if inner:
                yield _repeated(len(child.repeat), inner, below)
        else:
            yield from _terms(child, below, outer)


def _repeated(times: int, inner: tuple[Product, ...], label: str) -> Product:
    if len(inner) == 1 and not inner[0].inner and inner[0].times == 1:
        return Product(times, inner[0].factors, (), label)
    return Product(times, (), inner, label)


def _own(node: Node, name: str, outer: int) -> Iterator[Product]:
    """The terms of a module's own tensors; a bias is written with its weight."""
    shapes: dict[str, tuple[int, ...]] = {}
    for child in node.children:
        for end in child.ends:
            counted = _counted(end.shape, end.each)
            if counted is None:
                continue
            times = end.instances // outer
            if times > 1 or child.label in shapes:
                yield Product(times, _plain(counted), (), _joined(name, child.label))
            else:
                shapes[child.label] = counted
    factors = _with_bias(shapes.get("weight", ()), shapes.get("bias", ()))
    if factors is not None:
        yield Product(*factors, (), name)
        del shapes["weight"], shapes["bias"]
    for label, shape in shapes.items():
        own = name if label == "weight" else _joined(name, label)
        yield Product(1, _plain(shape), (), own)


def _joined(name: str, label: str) -> str:
    return f"{name}.{label}" if name else label


def _counted(shape: tuple[int, ...] | None, each: int | None) -> tuple[int, ...] | None:
    """The sizes whose product a tensor counts; None where it counts nothing."""
    if not each:
        return None
    return shape if shape is not None and prod(shape) == each else (each,)


def _plain(shape: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    return tuple((size,) for size in shape)


def _with_bias(
    weight: tuple[int, ...], bias: tuple[int, ...]
) -> tuple[int, tuple[tuple[int, ...], ...]] | None:
    """(in + 1) * out for a weight and its bias, 2 * size for a norm; None for others."""
    if not weight or len(bias) != 1:
        return None
    if weight == bias:
        return 2, _plain(weight)
    out, *rest = weight
    if len(weight) > 1 and out == bias[0]:
        return 1, ((prod(rest), 1), (out,))
    if len(weight) == 2 and weight[1] == bias[0]:  # stored [in, out]
        return 1, ((weight[0], 1), (weight[1],))
    return None


def _merged(terms: Iterable[Product]) -> tuple[Product, ...]:
    """The terms with those alike written once: gate, up and down are `3*3584*18944`."""
    alike: dict[object, Product] = {}
    for term in terms:
        key = (tuple(sorted(term.factors)), _key(term.inner))
        before = alike.get(key)
        if before is None:
            alike[key] = term
        else:
            times = before.times + term.times
            label = ", ".join(filter(None, (before.label, term.label)))
            alike[key] = Product(times, before.factors, before.inner, label)
    return tuple(alike.values())


def _key(inner: Sequence[Product]) -> object:
    return tuple((term.times, tuple(sorted(term.factors)), _key(term.inner)) for term in inner)

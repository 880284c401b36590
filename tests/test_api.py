"""The public API: what the package exports, held against what was written down."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from types import ModuleType
from typing import Any

import ckptscan

ADDRESS = re.compile(r"<([\w.]+) object at 0x[0-9a-f]+>")
PLAIN = (object, tuple, Exception, Sequence)  # what is theirs is not told


def test_the_public_api_is_what_was_written_down(golden: Callable[[str], None]) -> None:
    golden("\n".join(line for name in sorted(ckptscan.__all__) for line in described(name)) + "\n")


def described(name: str) -> Iterator[str]:
    """A public name with its signature; of a class its public members too."""
    value = getattr(ckptscan, name)
    if isinstance(value, ModuleType):  # a room that can be called, by the name of its function
        value = getattr(value, "compare" if name == "diff" else name)
    if isinstance(value, str):
        yield f"{name}: str"
        return
    yield name if getattr(value, "_is_protocol", False) else f"{name}{signature(value)}"
    if isinstance(value, type):
        for member in sorted(members(value)):
            yield f"    {member}"


def members(kind: type) -> Iterator[str]:
    """Methods with their signatures, properties and class values with their types."""
    fields = {*getattr(kind, "_fields", ()), *getattr(kind, "__dataclass_fields__", ())}
    for name in dir(kind):
        held = inspect.getattr_static(kind, name)
        is_inherited = any(held is inspect.getattr_static(one, name, None) for one in PLAIN)
        if name.startswith("_") or name in fields or is_inherited:
            continue
        if isinstance(held, property | cached_property):
            getter = held.fget if isinstance(held, property) else held.func
            yield f"{name}: {returned(getter)}"
        elif isinstance(held, classmethod | staticmethod) or callable(held):
            yield f"{name}{signature(getattr(kind, name))}"
        else:
            yield f"{name} = {held!r}"


def signature(value: Any) -> str:
    """Parameters with their annotations and defaults, as every Python writes them."""
    found = inspect.signature(value)
    parameters = [
        one.replace(
            annotation=inspect.Parameter.empty if one.annotation is one.empty else plain(one)
        )
        for one in found.parameters.values()
    ]
    given = "" if isinstance(value, type) else f" -> {annotation(found.return_annotation)}"
    text = str(inspect.Signature(parameters)) + given
    return ADDRESS.sub(r"<\1>", text.replace("'", ""))


def plain(parameter: inspect.Parameter) -> str:
    return annotation(parameter.annotation)


def returned(getter: Any) -> str:
    return annotation(inspect.signature(getter).return_annotation)


def annotation(said: Any) -> str:
    """An annotation as it is written: Pythons differ in how they keep it."""
    return str(getattr(said, "__forward_arg__", said)).removeprefix("<class '").removesuffix("'>")


def test_every_public_name_says_what_it_is() -> None:
    for name in ckptscan.__all__:
        value = getattr(ckptscan, name)

        assert isinstance(value, str) or inspect.getdoc(value), name

"""The exact reader: any header text -> entries and faults, deciding as the reference does.

Where safetensors stops at the first fault, this goes on and keeps what can be known. The rules
are those of serde_json and of serde's derived code for `HashMetadata` and `TensorInfo` in
safetensors 0.8.0 tensor.rs: every entry is buffered (`flatten`), so even ignored fields must be
sound JSON, and an entry may also be written as an array, a dtype as `{"U8": null}`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ckptscan.dtypes import DTYPES
from ckptscan.header import json as strict
from ckptscan.header.values import Entry, FaultList, quoted

METADATA = "__metadata__"
FIELDS = ("dtype", "shape", "data_offsets")
# levels around an entry's ignored fields: the header's object and the entry's
_OUTER_LEVELS = 2


class Document(NamedTuple):
    """A header's text as read: `entries` in order, repeats kept; `is_complete` if all of them."""

    metadata: dict[str, str]
    entries: list[Entry]
    faults: FaultList
    is_complete: bool


class _Bad(Exception):
    """Why an entry or the metadata is not what the reference wants."""


def read_document(text: str) -> Document:
    """The entries of a header's text, as far as they go, and all that is wrong with it."""
    document = _Reader(text)
    try:
        document.read()
    except strict.BrokenJson as broken:
        document.refuse(
            "header-not-json", f"the JSON breaks at character {broken.position:,}: {broken.reason}"
        )
        document.is_complete = False
    return Document(document.metadata, document.entries, document.faults, document.is_complete)


class _Reader:
    """One pass over the text; keeps what it found even when the JSON breaks off."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.scanner = strict.Scanner(text)
        self.metadata: dict[str, str] = {}
        self.entries: list[Entry] = []
        self.faults = FaultList()
        self.is_complete = True

    def refuse(self, kind: str, message: str, tensor: str | None = None) -> None:
        self.faults.add(kind, message, "InvalidHeaderDeserialization", tensor)

    def remark(self, kind: str, message: str, tensor: str | None = None) -> None:
        self.faults.add(kind, message, None, tensor)

    def read(self) -> None:
        _, position = self.scanner.punctuation(0, "{")
        if not self.text.startswith("{"):
            self.remark("leading-whitespace", "white space stands before the opening brace")
        has_metadata = False
        for name, value in self._pairs(position):
            refusals, self.scanner.refusals = self.scanner.refusals, []
            if refusals:
                self.refuse("value-not-json", f"{quoted(name)} holds {refusals[0]}", name)
                self.is_complete = False
            elif name == METADATA:
                self._take_metadata(value, has_metadata)
                has_metadata = True
            else:
                self._take_entry(name, value)

    def _pairs(self, position: int) -> Iterator[tuple[str, strict.Value]]:
        """The pairs of the top object, one at a time; then checks that the text ends."""
        if self.text[position : position + 1] == "}":
            _, position = self.scanner.punctuation(position, "}")
        else:
            char = ","
            while char == ",":
                name, position = self.scanner.string(position)
                _, position = self.scanner.punctuation(position, ":")
                value, position = self.scanner.value(position)
                yield name, value
                char, position = self.scanner.punctuation(position, ",}")
        if position < len(self.text):
            raise strict.BrokenJson("text follows the closing brace", position)
        padding = self.text[len(self.text.rstrip(strict.SPACE)) :]
        if padding.strip(" "):
            self.remark("odd-padding", "the header is padded with other white space than spaces")

    def _take_metadata(self, value: strict.Value, is_second: bool) -> None:
        if is_second:
            self.refuse("duplicate-metadata", "__metadata__ stands twice", METADATA)
        if value is None:
            self.remark("metadata-null", "__metadata__ is null", METADATA)
            return
        if not isinstance(value, tuple):
            self.refuse("metadata-type", "__metadata__ is not an object", METADATA)
            return
        strings = {key: text for key, text in value if isinstance(text, str)}
        for key, text in value:
            if not isinstance(text, str):
                self.refuse(
                    "metadata-type", f"__metadata__ {quoted(key)} is not a string", METADATA
                )
        if len({key for key, _ in value}) < len(value):
            self.remark(
                "duplicate-metadata-key", "a key of __metadata__ stands twice; the last counts"
            )
        self.metadata.update(strings)

    def _take_entry(self, name: str, value: strict.Value) -> None:
        try:
            fields = self._fields(name, value)
            written, dtype = _dtype(fields["dtype"])
            start, end = _integers("data_offsets", fields["data_offsets"], 2)
            entry = Entry(name, dtype, _integers("shape", fields["shape"]), start, end)
        except _Bad as bad:
            self.refuse("malformed-entry", f"{quoted(name)}: {bad}", name)
            self.is_complete = False
            return
        if dtype not in DTYPES:
            self.refuse(
                "unknown-dtype",
                f"{quoted(name)}: dtype {quoted(dtype)} is none of the format's",
                name,
            )
        elif written != dtype:
            self.remark(
                "odd-entry-form", f"{quoted(name)}: the dtype is written as an object", name
            )
        self.entries.append(entry)

    def _fields(self, name: str, value: strict.Value) -> dict[str, strict.Value]:
        """The three fields of an entry in either of its two forms; raises _Bad."""
        if isinstance(value, list):
            if len(value) != len(FIELDS):
                raise _Bad(f"an array of {len(value)} values, not of three")
            self.remark(
                "odd-entry-form", f"{quoted(name)}: the entry is an array, not an object", name
            )
            return dict(zip(FIELDS, value, strict=True))
        if not isinstance(value, tuple):
            raise _Bad("not an object")
        fields: dict[str, strict.Value] = {}
        for key, item in value:
            if key in FIELDS:
                if key in fields:
                    raise _Bad(f"{key} stands twice")
                fields[key] = item
            elif strict.depth(item) > strict.MAX_DEPTH - _OUTER_LEVELS:
                raise _Bad(f"{quoted(key)} nests deeper than {strict.MAX_DEPTH} levels")
            else:
                self.remark("unknown-field", f"{quoted(name)}: unknown field {quoted(key)}", name)
        for key in FIELDS:
            if key not in fields:
                raise _Bad(f"{key} is missing")
        return fields


def _dtype(value: strict.Value) -> tuple[strict.Value, str]:
    """A dtype as written and its name; also from serde's `{"U8": null}`; raises _Bad."""
    if isinstance(value, str):
        return value, value
    if isinstance(value, tuple) and len(value) == 1 and value[0][1] is None:
        return value, value[0][0]
    raise _Bad("dtype is not a string")


def _integers(field: str, value: strict.Value, count: int | None = None) -> tuple[int, ...]:
    """An array of unsigned 64-bit integers; raises _Bad. `True == 1`, so types are compared."""
    if not isinstance(value, list):
        raise _Bad(f"{field} is not an array")
    if count is not None and len(value) != count:
        raise _Bad(f"{field} holds {len(value)} numbers, not {count}")
    for number in value:
        if type(number) is not int or not 0 <= number <= strict.MAX_INT:
            raise _Bad(f"{field} holds {_shown(number)}, which is no unsigned 64-bit integer")
    return tuple(value)


def _shown(value: strict.Value) -> str:
    if isinstance(value, int | str) and not isinstance(value, bool):
        return quoted(value)
    names = {type(None): "null", bool: "a boolean", float: "a float", list: "an array"}
    return names.get(type(value), "an object")

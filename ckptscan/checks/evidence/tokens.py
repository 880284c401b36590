"""The largest token ids that the files of a tokenizer name; judges nothing.

A tokenizer.json has 10 MB, and parsing it takes longer than all other checks together. So its
numbers are looked at first, a superset of its ids: only where one of them is too large is it
parsed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from ckptscan.config import Config

# every id of a JSON vocabulary stands behind a colon; numbers inside strings are taken too
_NUMBER = re.compile(rb":\s*(\d{1,18})")
_LARGEST = 1 << 48  # what is no id of a token, whatever it is


class Token(NamedTuple):
    """A token with its id; `is_added` is whether it was added to the vocabulary afterwards."""

    file: str
    text: str
    number: int
    is_added: bool


def tokens_beyond(config: Config, rows: int) -> list[Token]:
    """The tokens whose ids are `rows` or more, the smallest first."""
    found = {token.number: token for token in _all_beyond(config, rows)}
    return [found[number] for number in sorted(found)]


def files_of(config: Config) -> list[str]:
    """The files that were looked at."""
    names = ("added_tokens.json", "tokenizer_config.json")
    return [*config.raw, *(name for name in names if name in config.documents)]


def _all_beyond(config: Config, rows: int) -> Iterator[Token]:
    for name, data in config.raw.items():
        if name == "tekken.json":
            yield from _of_tekken(data, rows)
        elif _may_reach(data, rows):
            yield from _of_json(name, data, rows)
    added = config.documents.get("added_tokens.json", {})
    yield from _beyond("added_tokens.json", added.items(), rows, is_added=True)
    decoder = config.documents.get("tokenizer_config.json", {}).get("added_tokens_decoder")
    entries = decoder.items() if isinstance(decoder, dict) else ()
    pairs = ((_content(entry), _number(number)) for number, entry in entries)
    yield from _beyond("tokenizer_config.json", pairs, rows, is_added=True)


def _beyond(
    file: str, pairs: Iterable[tuple[object, object]], rows: int, is_added: bool
) -> Iterator[Token]:
    for text, number in pairs:
        if type(number) is int and rows <= number < _LARGEST and isinstance(text, str):
            yield Token(file, text, number, is_added)


def _content(entry: object) -> object:
    return entry.get("content") if isinstance(entry, dict) else entry


def _number(text: object) -> int:
    is_number = isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 16
    return int(str(text)) if is_number else -1


def _may_reach(data: bytes, rows: int) -> bool:
    """Whether an id may be so large: any number is, or a list of tokens is so long."""
    merges = data.find(b'"merges"')
    end = merges if merges > data.find(b'"vocab"') else len(data)
    numbers = _NUMBER.findall(data, 0, end)
    return max(map(int, numbers), default=0) >= rows or data.count(b"[") >= rows


def _of_json(name: str, data: bytes, rows: int) -> Iterator[Token]:
    try:
        document = json.loads(data.decode("utf-8-sig"))
    except (RecursionError, ValueError):
        return
    if not isinstance(document, dict):
        return
    if name == "vocab.json":
        yield from _beyond(name, document.items(), rows, is_added=False)
        return
    model, added = document.get("model"), document.get("added_tokens")
    vocabulary = model.get("vocab") if isinstance(model, Mapping) else None
    if isinstance(vocabulary, dict):
        yield from _beyond(name, vocabulary.items(), rows, is_added=False)
    elif isinstance(vocabulary, list):  # Unigram: pieces with their scores, the place is the id
        pieces = ((_piece(piece), number) for number, piece in enumerate(vocabulary))
        yield from _beyond(name, pieces, rows, is_added=False)
    entries = added if isinstance(added, list) else []
    held = (entry for entry in entries if isinstance(entry, dict))
    pairs = ((entry.get("content"), entry.get("id")) for entry in held)
    yield from _beyond(name, pairs, rows, is_added=True)


def _piece(piece: object) -> object:
    return piece[0] if isinstance(piece, list) and piece else None


# Mistral's: the vocabulary is cut to this size, special tokens included
_TEKKEN = re.compile(rb'"default_vocab_size"\s*:\s*(\d{1,15})')


def _of_tekken(data: bytes, rows: int) -> Iterator[Token]:
    match = _TEKKEN.search(data)
    if match and int(match[1]) > rows:
        yield Token("tekken.json", "", int(match[1]) - 1, is_added=False)

"""What the Hub says of a repository: pages of the tree, and listings that are kept."""

from __future__ import annotations

import pytest

from ckptscan.sources.base import FileEntry
from ckptscan.sources.hub.address import Repository
from ckptscan.sources.hub.listing import (
    Listing,
    _following,
    _size_and_digest,
    below,
    from_document,
    to_document,
)

SHA = "a" * 64
LISTING = Listing(
    "org/x",
    "c" * 40,
    (
        FileEntry("model.safetensors", 10, SHA),
        FileEntry("a/b/c/d.safetensors", 1),
        FileEntry("a/b/c/d/e.safetensors", 1),
        FileEntry(".cache/x.safetensors", 1),
        FileEntry("../x", 1, None, "is named like no file in a folder"),
    ),
    (("Hub safetensors.total", 5),),
)


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("", None),
        ('</api/x?cursor=2>; rel="next"', "https://hub/api/x?cursor=2"),
        ("<https://hub/y>;rel=next", "https://hub/y"),
        ('<https://evil/y>; rel="next"', None),
        ('<http://hub/y>; rel="next"', None),
        ('<https://[bad>; rel="next"', None),
        ('<>; rel="prev"', None),
    ],
)
def test_a_page_follows_only_where_it_may(link: str, expected: str | None) -> None:
    assert expected == _following("https://hub/api/x", link, "https://hub:443")


def test_a_listing_is_kept_as_it_is() -> None:
    assert LISTING == from_document(to_document(LISTING), "c" * 40)
    assert from_document(to_document(LISTING), "d" * 40) is None


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"files": 1, "claims": [], "name": "", "commit": ""},
        {"files": [[1]], "claims": [], "name": "", "commit": ""},
        {"files": [["a", "b", None, True]], "claims": [], "name": "", "commit": ""},
    ],
)
def test_what_is_no_listing_is_none(document: dict[str, object]) -> None:
    assert from_document(document, "c" * 40) is None


def test_files_are_those_that_a_folder_on_disk_would_list() -> None:
    def paths(path: str) -> list[str]:
        return [entry.path for entry in below(LISTING, Repository("model", "org/x", None, path))]

    assert ["model.safetensors", "a/b/c/d.safetensors", "../x"] == paths("")
    assert ["model.safetensors"] == paths("model.safetensors")
    assert ["c/d.safetensors", "c/d/e.safetensors"] == paths("a/b")
    assert [] == paths("b")


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"size": 5}, (5, None)),
        ({"size": 130, "lfs": {"size": 7, "sha256": SHA}}, (7, SHA)),
        ({"size": 5, "lfs": {"sha256": SHA.upper()}}, (5, SHA)),
        ({"size": 5, "lfs": {"sha256": "z" * 64}}, (5, None)),
        ({"size": "5"}, (-1, None)),
        ({"size": True}, (-1, None)),
        ({"size": -1}, (-1, None)),
        ({"size": 1.5}, (-1, None)),
        ({"size": 2**63}, (-1, None)),
        ({"size": None, "lfs": []}, (-1, None)),
    ],
)
def test_a_size_and_a_digest_are_what_they_must_be(
    facts: dict[str, object], expected: tuple[int, str | None]
) -> None:
    assert expected == _size_and_digest(facts, "sha256")

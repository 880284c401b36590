"""What people type and paste for a repository of the Hub."""

from __future__ import annotations

import pytest

from ckptscan.errors import UsageError
from ckptscan.sources.hub.address import (
    Repository,
    is_page,
    looks_short,
    parse,
    parse_page,
    with_options,
)

SHA = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("Qwen/Qwen2-7B", ("model", "Qwen/Qwen2-7B", None, "")),
        ("Qwen/Qwen2-7B@v1.0", ("model", "Qwen/Qwen2-7B", "v1.0", "")),
        (f"Qwen/Qwen2-7B@{SHA}", ("model", "Qwen/Qwen2-7B", SHA, "")),
        ("Qwen/Qwen2-7B@refs/pr/3", ("model", "Qwen/Qwen2-7B", "refs/pr/3", "")),
        ("hf://Qwen/Qwen2-7B", ("model", "Qwen/Qwen2-7B", None, "")),
        ("hf://Qwen/Qwen2-7B/", ("model", "Qwen/Qwen2-7B", None, "")),
        ("hf://models/Qwen/Qwen2-7B", ("model", "Qwen/Qwen2-7B", None, "")),
        ("hf://gpt2", ("model", "gpt2", None, "")),
        ("hf://gpt2@main", ("model", "gpt2", "main", "")),
        ("hf://org/name@dev/unet", ("model", "org/name", "dev", "unet")),
        ("hf://org/name@refs/pr/3/a/b", ("model", "org/name", "refs/pr/3", "a/b")),
        ("hf://org/name@refs%2Fpr%2F3/a", ("model", "org/name", "refs/pr/3", "a")),
        ("hf://datasets/org/name/sub", ("dataset", "org/name", None, "sub")),
        ("hf://spaces/org/name@x", ("space", "org/name", "x", "")),
    ],
)
def test_a_spec_names_a_repository(spec: str, expected: tuple[str, ...]) -> None:
    assert Repository(*expected) == parse(spec)


PAGES = {
    "": (None, ""),
    "/": (None, ""),
    "/tree/main": ("main", ""),
    "/tree/main/unet": ("main", "unet"),
    "/tree/refs%2Fpr%2F3": ("refs/pr/3", ""),
    "/blob/main/model.safetensors": ("main", "model.safetensors"),
    "/resolve/main/a/model.safetensors?download=true": ("main", "a/model.safetensors"),
    "/raw/v1/model.safetensors.index.json": ("v1", "model.safetensors.index.json"),
    "/blob/main/config.json": ("main", ""),
    f"/blob/{SHA}/unet/config.json#L3": (SHA, "unet"),
}


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("kind", ["model", "dataset", "space"])
def test_a_page_names_a_repository(kind: str, page: str) -> None:
    plural = "" if kind == "model" else f"{kind}s/"

    url = f"https://huggingface.co/{plural}org/name{page}".partition("#")[0]
    assert Repository(kind, "org/name", *PAGES[page]) == parse_page(url)


def test_a_page_from_before_namespaces_is_understood() -> None:
    url = "https://huggingface.co/gpt2/blob/main/model.safetensors"

    assert Repository("model", "gpt2", "main", "model.safetensors") == parse_page(url)


def test_a_mirror_that_is_the_endpoint_has_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_page("https://mirror.example:8080/hub/org/name")
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example:8080/hub/")

    assert is_page("https://mirror.example:8080/hub/org/name")
    assert Repository("model", "org/name") == parse_page("https://mirror.example:8080/hub/org/name")
    assert is_page("https://huggingface.co/org/name")
    assert is_page("https://hf.co/org/name")


@pytest.mark.parametrize(
    "spec",
    [
        "hf://",
        "hf://a b/c",
        "hf://org/na..me",
        "hf://-/../x",
        "hf://org/name/../../x",
        "hf://org/name@",
        "hf://org/name@ ",
        "hf://org/name@..",
        "hf://org/name@.%2Fmain",
        "hf://org/name@a\x1b[0m",
        "hf://org/name@main//x",
        "hf://org/name@main/C:/x",
        "hf://org/" + "n" * 300,
    ],
)
def test_what_names_no_repository_is_a_usage_error(spec: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(spec)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("Qwen/Qwen2-7B", True),
        ("Qwen/Qwen2-7B@main", True),
        ("Qwen/Qwen2-7B@refs/pr/3", True),
        ("models/model.safetensors", False),
        ("models/x.ckptpack", False),
        ("./models", False),
        ("../org/name", False),
        ("/org/name", False),
        ("~/models", False),
        ("gpt2", False),
        ("a/b/c", False),
    ],
)
def test_only_two_plain_segments_may_be_a_repository(spec: str, expected: bool) -> None:
    assert expected == looks_short(spec)


def test_what_is_meant_follows_from_the_name() -> None:
    def named(path: str) -> tuple[str | None, str]:
        found = Repository("model", "org/name", None, path)
        return found.named, found.folder

    assert (None, "") == named("")
    assert (None, "unet") == named("unet")
    assert ("file", "") == named("model.safetensors")
    assert ("file", "a/b") == named("a/b/model.safetensors")
    assert ("index", "a") == named("a/model.safetensors.index.fp16.json")


def test_options_complete_a_spec_and_may_not_contradict_it() -> None:
    found = parse("org/name")

    assert Repository("dataset", "org/name", "v1") == with_options(found, "v1", "dataset")
    assert found._replace(revision="v1") == with_options(parse("org/name@v1"), "v1", None)
    with pytest.raises(UsageError, match="v1 is named in the source, v2 by --revision"):
        with_options(parse("org/name@v1"), "v2", None)
    with pytest.raises(UsageError, match="named as a dataset, by --repo-type as a space"):
        with_options(parse("hf://datasets/org/name"), None, "space")

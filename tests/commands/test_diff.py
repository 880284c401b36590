"""`ckptscan diff`: arguments in, exit code out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ckptscan.commands import cli
from ckptscan.content.pairs.fetching import Place
from tests.conftest import ATTACKS, PACKS, Tensors, file_of
from tests.content.making import Arrays, raw_file
from tests.diff.contents import CONFIG, edited, model, noisy
from tests.sources.conftest import caches, shard, standin, three
from tests.standin import Standin, repository_of_files

__all__ = ["caches", "standin"]
QWEN = str(PACKS / "Qwen--Qwen2-7B.ckptpack")
VL = str(PACKS / "Qwen--Qwen2-VL-7B-Instruct.ckptpack")
ONE: Tensors = {"a.weight": ("F32", [2, 2]), "b.weight": ("F32", [2])}


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["diff", *arguments])


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        pytest.param([QWEN, QWEN, "--exit-code"], 0, "", id="same"),
        pytest.param([QWEN, VL], 0, "", id="differs"),
        pytest.param([QWEN, VL, "--exit-code"], 1, "", id="differs-asked"),
        pytest.param([QWEN, VL, "--exit-code", "--only", "structure"], 1, "", id="structure"),
        pytest.param([QWEN, VL, "--exit-code", "--only", "config"], 1, "", id="config"),
        pytest.param([QWEN, "nowhere"], 3, "B (nowhere)", id="b-not-there"),
        pytest.param(["nowhere", VL], 3, "A (nowhere)", id="a-not-there"),
        pytest.param([QWEN, VL, "--set", "none"], 2, "no set is called", id="no-such-set"),
        pytest.param([QWEN], 2, "Missing argument 'B'", id="one-side"),
        pytest.param([QWEN, VL, "--only", "weights"], 2, "'weights' is not one of", id="only"),
        pytest.param([QWEN, VL, "--no-sample", "--full"], 2, "reads no tensor", id="no-sample"),
        pytest.param([QWEN, VL, "--no-sample", "--sample", "2"], 2, "reads no tensor", id="both"),
        pytest.param([QWEN, VL, "--no-sample", "--max-bytes", "0"], 2, "reads no", id="no-bytes"),
        pytest.param([QWEN, VL, "--only", "config", "--full"], 2, "--only config", id="only-full"),
        pytest.param([QWEN, VL, "--exit-code", "--only", "content"], 0, "", id="content"),
        pytest.param([QWEN, VL, "--exit-code", "--exclude", "visual.*"], 1, "", id="moved"),
        pytest.param([QWEN, VL, "--rtol", "0.1"], 2, "add --full", id="tolerance"),
        pytest.param([QWEN, VL, "--max-bytes", "much"], 2, "much is no size", id="size"),
        pytest.param([QWEN, VL, "--sample", "0"], 2, "Invalid value for '--sample'", id="sample"),
        pytest.param([QWEN, VL, "--include", "/(/"], 2, "no regular expression", id="pattern"),
    ],
)
def test_the_exit_code(arguments: list[str], code: int, words: str) -> None:
    done = run(*arguments)

    assert code == done.exit_code, done.output
    assert words in done.stderr
    assert code < 2 or not done.stdout


def test_tensors_are_chosen_by_patterns() -> None:
    def summary(*arguments: str) -> dict[str, int]:
        document = json.loads(run(QWEN, VL, "--format", "json", *arguments).stdout)
        return {kind: count for kind, count in document["summary"].items() if count}

    assert {"moved": 339, "added": 391} == summary()
    assert {"moved": 339} == summary("--exclude", "visual.*")
    assert {"added": 128} == summary("--include", "/visual.*mlp/", "--exclude", "*merger*")
    assert {"moved": 4} == summary("--include", "*.norm.weight", "--include", "*.0.*.q_*", "--include", "lm*")  # fmt: skip


def test_a_pattern_that_no_name_matches_is_told() -> None:
    done = run(QWEN, VL, "--include", "nothing")

    assert 0 == done.exit_code
    assert "no name matches" in done.stderr


def test_a_broken_file_is_compared_as_far_as_it_goes(tmp_path: Path) -> None:
    one = tmp_path / "one.safetensors"
    one.write_bytes(file_of(ONE))
    done = run(str(one), str(ATTACKS / "gap.safetensors"))

    assert 1 == done.exit_code
    assert "warning: B: gap.safetensors" in done.stderr
    assert "removed" in done.stdout


def test_revisions_of_a_repository_are_compared(standin: Standin) -> None:
    """Files of one digest are proved equal, and the report says which are not."""
    files = three()
    standin.add(repository_of_files("org/before", files))
    changed = dict(files)
    changed[shard(2)] = changed[shard(2)][:-1] + b"\x01"
    standin.add(repository_of_files("org/after", changed))
    arguments = ("org/before@main", "org/after", "--no-sample", "--format", "json")
    document = json.loads(run(*arguments).stdout)

    counts = {kind: count for kind, count in document["summary"].items() if count}
    assert {"identical", "unproved"} == counts.keys()
    assert counts["identical"] == 2 * counts["unproved"]
    changed_files = [one["path"] for one in document["files"] if one["status"] == "changed"]
    assert [shard(2)] == changed_files


def test_a_repository_is_itself(standin: Standin) -> None:
    document = json.loads(run("org/x", "org/x@main", "--format", "json", "--exit-code").stdout)

    assert document["identical"]
    assert ["identical"] == [one["code"] for one in document["verdicts"]]


def test_a_side_that_can_not_be_reached_is_named(standin: Standin) -> None:
    done = run("org/x", "org/none")

    assert 3 == done.exit_code
    assert "B (org/none)" in done.stderr
    assert "" == done.stdout


def put(folder: Path, arrays: Arrays) -> str:
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(raw_file(arrays))
    (folder / "config.json").write_text(json.dumps(CONFIG))
    return str(folder)


def test_content_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, golden: Callable[[str], None]
) -> None:
    """A fine-tune, by samples and in full, as text, markdown and json."""
    monkeypatch.setenv("CKPTSCAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    a = model()
    put(tmp_path / "a", a)
    put(tmp_path / "b", edited(a, "layers.[23].mlp", noisy))
    told = [
        run("a", "b").stdout,
        run("a", "b", "--full", "--only", "content").stdout,
        run("a", "b", "--full", "--format", "markdown").stdout,
        run("a", "b", "--full", "--only", "content", "--format", "json").stdout,
        run("a", "b", "--max-bytes", "16KiB", "--stat").stdout,
    ]

    golden("\n".join(told))


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], 1),
        (["--only", "content"], 1),
        (["--only", "structure"], 0),
        (["--only", "config"], 0),
        (["--include", "*.mlp.*"], 1),
        (["--exclude", "*.mlp.*"], 0),  # of chosen tensors none differs
        (["--full", "--atol", "1", "--only", "content"], 0),
        (["--full", "--atol", "1e-9", "--only", "content"], 1),
        (["--full", "--rtol", "1e9", "--include", "*.mlp.*"], 0),
    ],
)
def test_the_exit_code_speaks_of_what_was_asked(
    arguments: list[str], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CKPTSCAN_CACHE", str(tmp_path / "cache"))
    a, b = put(tmp_path / "a", model()), put(tmp_path / "b", edited(model(), "up_proj", noisy))

    assert code == run(a, b, "--exit-code", *arguments).exit_code


def shortened(path: Path) -> None:
    with path.open("r+b") as opened:
        opened.truncate(100_000)


def replaced(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    other.replace(path)


@pytest.mark.parametrize("method", ["__init__", "read"], ids=["after-headers", "while-sampled"])
@pytest.mark.parametrize("write", [shortened, replaced, Path.unlink])
def test_a_file_that_is_written_meanwhile_is_an_error_of_its_side(
    write: Callable[[Path], None], method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [put(tmp_path / name, model()) for name in ("a", "b")]
    file, whole = tmp_path / "b" / "model.safetensors", getattr(Place, method)

    def meanwhile(self: Place, *arguments: Any) -> Any:
        if file in tmp_path.glob("b/*") and not (tmp_path / "done").exists():
            write(file)
            (tmp_path / "done").touch()
        return whole(self, *arguments)

    monkeypatch.setattr(Place, method, meanwhile)
    done = run(*paths)

    assert 3 == done.exit_code
    assert "error: B: model.safetensors: " in done.stderr
    assert "" == done.stdout

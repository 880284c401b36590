"""`ckptscan audit` with settings, a baseline, a policy: where they are found, what wins."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ckptscan.commands import cli
from tests.conftest import PACKS, file_of

DEEPSEEK = str(PACKS / "deepseek-ai--DeepSeek-V3.ckptpack")
W = {"a.weight": ("F32", [2, 2])}
SIZE = "I005"  # of DeepSeek-V3, a warning


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["audit", *arguments])


def audit(*arguments: str) -> dict[str, Any]:
    result = run(*arguments, "--format", "json")

    assert result.exit_code in (0, 1), result.output
    loaded = json.loads(result.stdout)
    assert isinstance(loaded, dict)
    return loaded


def codes(found: dict[str, Any]) -> list[str]:
    return [finding["code"] for finding in found["findings"]]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a model in it, as the current folder."""
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / "project"
    (folder / "model").mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / "model" / "model.safetensors").write_bytes(file_of(W))
    (folder / "model" / "config.json").write_text('{"auto_map": {"a": "b.C"}}')
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize(
    ("text", "arguments", "code"),
    [
        pytest.param("", [], 0, id="nothing"),
        pytest.param('fail-on = "warning"', [], 1, id="fail-on"),
        pytest.param('fail-on = "warning"', ["--fail-on", "error"], 0, id="the option wins"),
        pytest.param('fail-on = "warning"', ["--no-config"], 0, id="no-config"),
        pytest.param('fail-on = "warning"\nselect = ["H"]', [], 0, id="select"),
        pytest.param('fail-on = "warning"\nselect = ["H"]', ["--select", "X"], 1, id="replaced"),
        pytest.param('fail-on = "warning"\nignore = ["X"]', [], 0, id="ignore"),
        pytest.param(
            'fail-on = "warning"\nignore = ["X"]', ["--select", "X", "--ignore", "H"], 0, id="added"
        ),
        pytest.param('policy = ["all are F32"]', [], 0, id="policy kept"),
        pytest.param('policy = ["all are BF16"]', [], 1, id="policy broken"),
        pytest.param('policy = ["warning: all are BF16"]', [], 0, id="as a warning"),
        pytest.param('policy = ["all are BF17"]', [], 2, id="no policy"),
        pytest.param('selct = "H"', [], 2, id="no such key"),
        pytest.param('baseline = "absent.json"', [], 2, id="no such baseline"),
        pytest.param("", ["--config", "absent.toml"], 2, id="no such settings"),
        pytest.param("", ["--config", "x", "--no-config"], 2, id="both"),
        pytest.param("", ["--baseline", "x", "--write-baseline", "y"], 2, id="both baselines"),
        pytest.param("", ["--baseline", "ckptscan.toml"], 2, id="no baseline"),
        pytest.param("", ["--lock", "ckptscan.toml"], 2, id="no lock"),
        pytest.param("", ["--lock", "x", "model"], 2, id="a lock for two"),
        pytest.param("", ["--write-baseline", "model/x"], 2, id="written inside"),
    ],
)
def test_the_exit_code(project: Path, text: str, arguments: list[str], code: int) -> None:
    (project / "ckptscan.toml").write_text(text)

    assert code == run("model", *arguments).exit_code


def test_settings_are_found_upward_to_the_root_of_the_project(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "ckptscan.toml").write_text('ignore = ["X"]')
    (project.parent / "ckptscan.toml").write_text('ignore = ["H"]')
    (project / "deeper" / "down").mkdir(parents=True)
    monkeypatch.chdir(project / "deeper" / "down")

    assert "X003" not in codes(audit("../../model"))
    assert "H013" in codes(audit("../../model"))


def test_ckptscan_toml_goes_before_setup_cfg(project: Path) -> None:
    (project / "setup.cfg").write_text("[metadata]\nname = x\n[ckptscan]\nignore = X\n")

    assert "X003" not in codes(audit("model"))
    (project / "ckptscan.toml").write_text("")
    assert "X003" in codes(audit("model"))
    assert "X003" not in codes(audit("model", "--config", "setup.cfg"))


def test_a_setup_cfg_of_others_is_left_alone(project: Path) -> None:
    (project / "setup.cfg").write_bytes(b"not = a cfg\n\xff[")

    assert "X003" in codes(audit("model"))


@pytest.mark.parametrize("source", [".", "./", "model.safetensors", "model.safetensors.index.json"])
@pytest.mark.parametrize("name", ["ckptscan.toml", "setup.cfg"])
def test_settings_inside_source_are_not_read(
    project: Path, name: str, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project / "model")
    Path(name).write_text("[ckptscan]\nignore = X\n" if name == "setup.cfg" else 'ignore = ["X"]')
    Path("model.safetensors.index.json").write_text(
        '{"metadata": {}, "weight_map": {"a.weight": "model.safetensors"}}'
    )
    result = run(source, "--select", "X,H", "--format", "json")

    assert f"note: {name}: lies inside SOURCE and is not read; use --config" in result.stderr
    assert {"code": "X001", "reason": "ignored"} not in json.loads(result.stdout)["checks"][
        "skipped"
    ]


def test_settings_in_a_snapshot_of_the_cache_are_not_read(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = project / "models--org--name" / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "ckptscan.toml").write_text('ignore = ["X"]')
    monkeypatch.chdir(snapshot)
    result = run(str(project / "model"))

    assert "note: ckptscan.toml: lies inside SOURCE and is not read" in result.stderr
    assert "X003" in result.stdout


def test_settings_above_source_are_read_from_inside_it(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "ckptscan.toml").write_text('ignore = ["X"]')
    monkeypatch.chdir(project / "model")

    assert "X003" not in codes(audit("."))


@pytest.mark.parametrize("option", ["--config", "--baseline", "--lock"])
def test_a_file_inside_source_that_is_named_is_a_usage_error(project: Path, option: str) -> None:
    (project / "model" / "x.toml").write_text("")
    (project / "link.toml").symlink_to("model/x.toml")
    for path in ("model/x.toml", "link.toml", "./model/../model/x.toml"):
        result = run("model", option, path)

        assert 2 == result.exit_code
        assert "lies inside SOURCE" in result.stderr


def test_a_baseline_of_the_settings_inside_source_is_a_usage_error(project: Path) -> None:
    (project / "ckptscan.toml").write_text('baseline = "model/known.json"')
    (project / "model" / "known.json").write_text("")

    assert "lies inside SOURCE" in run("model").stderr


def test_settings_that_are_no_file_are_refused(project: Path) -> None:
    os.mkfifo(project / "ckptscan.toml")
    result = run("model")

    assert 2 == result.exit_code
    assert "is a FIFO" in result.stderr


def test_what_is_allowed_is_counted_with_its_reason(project: Path) -> None:
    (project / "ckptscan.toml").write_text(
        '[[allow]]\ncheck = "remote-code"\npath = "model"\nreason = "we have read it"\n'
        '[[allow]]\ncheck = "S001"\nreason = "it was so"\n'
    )
    result = run("model", "--fail-on", "warning")
    found = audit("model")

    assert 0 == result.exit_code
    assert "ignored: 1 finding of X003: we have read it" in result.stdout
    assert "allow S001: nothing is found that it allows any more" in result.stderr
    assert [{"code": "X003", "reason": "we have read it", "count": 1}] == found["ignored"]
    assert "X003" not in codes(found)


def test_rules_of_other_sources_do_not_count(project: Path) -> None:
    (project / "ckptscan.toml").write_text('[[policy]]\nrule = "all are BF16"\npath = "other/*"\n')

    assert {"code": "P001", "reason": "asks for a policy in the settings"} in audit("model")[
        "checks"
    ]["skipped"]


def test_a_policy_that_no_check_looks_at_is_told(project: Path) -> None:
    (project / "ckptscan.toml").write_text('policy = ["all are BF16"]')

    note = "the policy is not looked at: no check of P is selected"
    assert note in run("model", "--select", "H").stderr
    assert note in run("model", "--ignore", "P").stderr
    assert note not in run("model", "--select", "P001").stderr


def test_a_baseline_lets_only_new_findings_fail(project: Path) -> None:
    (project / "sub").mkdir()
    (project / "ckptscan.toml").write_text('fail-on = "warning"\nbaseline = "sub/known.json"')
    first = run("model", "--write-baseline", "sub/known.json")
    second = run("model")
    found = audit("./model/")

    assert (0, 0) == (first.exit_code, second.exit_code)
    assert "nothing new found" in second.stdout
    assert [] == found["findings"]
    assert "X003" in [finding["code"] for finding in found["known"]]
    (project / "model" / "pytorch_model.bin").write_bytes(b"")
    assert "X002" in codes(audit("model"))
    assert "X003" not in codes(audit("model"))
    (project / "model" / "config.json").write_text("{}")
    assert "the baseline has 1 finding that is found no more" in run("model").stderr


def test_a_baseline_is_not_written_where_something_was_not_read(project: Path) -> None:
    result = run("model", "nowhere", "--write-baseline", "known.json")

    assert 3 == result.exit_code
    assert "known.json: not written" in result.stderr
    assert not (project / "known.json").exists()


def test_a_baseline_is_the_same_each_time_and_names_no_folder(project: Path) -> None:
    run(str(project / "model"), "--write-baseline", "a.json")
    run("model", "--write-baseline", "b.json")

    assert (project / "a.json").read_bytes() == (project / "b.json").read_bytes()
    assert str(project) not in (project / "a.json").read_text()


def test_packs_have_settings_beside_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.ckptpack").write_bytes(Path(DEEPSEEK).read_bytes())
    Path("own.toml").write_text(f'ignore = ["{SIZE}"]')

    assert SIZE not in codes(audit("x.ckptpack", "--config", "own.toml"))

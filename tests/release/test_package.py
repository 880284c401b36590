"""The wheel and the source archive, built and installed into clean environments."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

from tests.conftest import HERE, PACKS

ROOT = HERE.parent
LIMIT = 3 << 20  # bytes of a wheel
PACK = PACKS / "Qwen--Qwen2-57B-A14B-Instruct.ckptpack"
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
pytestmark = pytest.mark.slow


def run(*command: str, cwd: Path) -> str:
    """What a command prints; its errors where it fails."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)

    assert 0 == done.returncode, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the archive and the wheel, made of a copy of what is under version control."""
    folder = tmp_path_factory.mktemp("dist")
    copy = folder / "copy"
    skipped = shutil.ignore_patterns(
        ".*", "build", "*.egg-info", "tests", "fixtures", "__pycache__"
    )
    shutil.copytree(ROOT, copy, ignore=skipped)
    run(sys.executable, "-m", "build", "-o", str(folder), str(copy), cwd=folder)
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (found,) = dist.glob("*.whl")
    return found


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        names = opened.namelist()

    assert {"ckptscan"} == {name.partition("/")[0] for name in names if ".dist-info/" not in name}
    assert "ckptscan/py.typed" in names
    written = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "ckptscan").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert written == {name for name in names if ".dist-info/" not in name}


def test_the_wheel_is_small(wheel: Path) -> None:
    assert wheel.stat().st_size < LIMIT


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        (path,) = [name for name in opened.namelist() if name.endswith("/METADATA")]
        facts = message_from_bytes(opened.read(path))

    assert ("ckptscan", ">=3.10") == (facts["Name"], facts["Requires-Python"])
    assert {"gpu", "cloud"} <= set(facts.get_all("Provides-Extra"))
    assert "# ckptscan" in facts.get_payload()


def test_the_archive_holds_docs_and_changes_and_no_tests(dist: Path) -> None:
    (archive,) = dist.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}

    assert {"CHANGELOG.md", "LICENSE", "README.md", "docs/plan.md"} <= names
    assert [] == [name for name in names if name.startswith(("tests", "fixtures"))]


def python(version: str) -> str:
    """An interpreter of this version, on the path or of pyenv; skips where there is none."""
    candidates = [f"python{version}"]
    if shutil.which("pyenv"):
        root = Path(run("pyenv", "root", cwd=ROOT).strip())
        candidates += map(str, sorted(root.glob(f"versions/{version}.*/bin/python")))
    for candidate in candidates:
        try:
            done = subprocess.run([candidate, "-m", "venv", "-h"], capture_output=True, check=False)
        except OSError:
            continue
        if done.returncode == 0:
            return candidate
    pytest.skip(f"no Python {version} here")


@pytest.mark.parametrize("version", PYTHONS)
def test_the_installed_wheel_does_its_jobs(version: str, wheel: Path, tmp_path: Path) -> None:
    run(python(version), "-m", "venv", "clean", cwd=tmp_path)
    pip = [str(tmp_path / "clean/bin/python"), "-m", "pip"]
    run(*pip, "install", "-q", "--disable-pip-version-check", str(wheel), cwd=tmp_path)
    command = str(tmp_path / "clean/bin/ckptscan")

    assert "" == run(*pip, "check", cwd=tmp_path).replace("No broken requirements found.\n", "")
    assert "57,408,658,944" in run(command, "inspect", str(PACK), cwd=tmp_path)
    assert "nothing found" in run(command, "audit", str(PACK), cwd=tmp_path)
    assert "fits" in run(command, "plan", str(PACK), "--gpu", "h100", "--tp", "2", cwd=tmp_path)
    assert "identical" in run(command, "diff", str(PACK), str(PACK), cwd=tmp_path)

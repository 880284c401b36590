"""Servers that other people wrote: the mirror olah in its two modes, and nginx."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ckptscan.errors import SourceNotFound
from fixtures.make import write_sparse
from tests.conftest import PACKS
from tests.sources.conftest import SHARDS, TENSORS, read, three
from tests.sources.programs import free_port, program, running
from tests.standin import Standin

pytestmark = pytest.mark.slow
ALL = SHARDS * TENSORS


@pytest.fixture
def proxy(standin: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Standin]:
    """olah before the stand-in: it hides redirects, sizes and digests, and keeps blocks."""
    port = free_port()
    here = f"127.0.0.1:{port}"
    options = {
        "--host": "127.0.0.1",
        "--port": str(port),
        "--hf-scheme": "http",
        "--hf-netloc": standin.endpoint.removeprefix("http://"),
        "--hf-lfs-netloc": standin.cdn.removeprefix("http://"),
        "--mirror-scheme": "http",
        "--mirror-netloc": here,
        "--mirror-lfs-netloc": here,
        "--repos-path": str(tmp_path / "repos"),
        "--log-path": str(tmp_path / "logs"),
    }
    command = [program("olah-cli"), *(word for pair in options.items() for word in pair)]
    with running(command, port, tmp_path):
        monkeypatch.setenv("HF_ENDPOINT", f"http://{here}")
        yield standin


def test_a_mirror_that_fetches_for_us_gives_the_same(proxy: Standin) -> None:
    found = read()

    assert ALL == len(found.table)
    assert found.is_sound
    assert all(shard.digest for shard in found.table.shards)
    assert list(found.table) == list(read().table)


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run([program("git"), *who, *arguments], cwd=folder, check=True, capture_output=True)


def test_a_mirror_of_git_repositories_that_knows_no_ranges_gives_the_same(
    caches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "mirrors" / "models" / "org" / "x"
    folder.mkdir(parents=True)
    for path, data in three().items():
        (folder / path).write_bytes(data)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "x")
    port = free_port()
    (tmp_path / "olah.toml").write_text(
        f'[basic]\nhost="127.0.0.1"\nport={port}\nmirrors-path=["{tmp_path}/mirrors"]\n'
        f'repos-path="{tmp_path}/repos"\n[accessibility]\noffline=true\n'
    )
    command = [program("olah-cli"), "-c", str(tmp_path / "olah.toml")]
    with running([*command, "--log-path", str(tmp_path / "logs")], port, tmp_path):
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
        found = read()

        assert ALL == len(found.table)
        assert {path: len(data) for path, data in three().items()} == {
            entry.path: entry.size for entry in found.files
        }
        assert list(found.table) == list(read().table)


NGINX = """
daemon off; master_process off; pid {root}/pid; error_log stderr;
events {{}}
http {{
  access_log {root}/access.log; client_body_temp_path {root}/a; proxy_temp_path {root}/b;
  fastcgi_temp_path {root}/c; uwsgi_temp_path {root}/d; scgi_temp_path {root}/e;
  gzip on; gzip_types *; gzip_min_length 1;
  server {{ listen 127.0.0.1:{port}; root {root}/files; }}
}}
"""


@pytest.fixture
def nginx(caches: Path, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """nginx over a folder, willing to compress whatever it may."""
    port = free_port()
    (tmp_path / "files").mkdir()
    (tmp_path / "nginx.conf").write_text(NGINX.format(root=tmp_path, port=port))
    command = [program("nginx"), "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")]
    with running(command, port, tmp_path):
        yield f"http://127.0.0.1:{port}", tmp_path / "files"


def test_nginx_serves_a_model_of_29_shards_by_ranges(nginx: tuple[str, Path]) -> None:
    address, files = nginx
    name = "Qwen--Qwen2-57B-A14B-Instruct"
    write_sparse(str(PACKS / f"{name}.ckptpack"), str(files / name))

    remote = read(f"{address}/{name}/model.safetensors.index.json")
    assert 57_408_658_944 == remote.numel
    assert list(read(str(files / name)).table) == list(remote.table)
    log = (files.parent / "access.log").read_text()
    assert 29 == log.count('.safetensors HTTP/1.1" 206')
    assert log.count(".safetensors HTTP") == log.count('.safetensors HTTP/1.1" 206')


def test_nginx_says_what_is_not_there(nginx: tuple[str, Path]) -> None:
    address, files = nginx
    (files / "model.safetensors").write_bytes(three()["config.json"])

    assert not read(f"{address}/model.safetensors").is_sound
    with pytest.raises(SourceNotFound, match=r"has no such file \(404\)"):
        read(f"{address}/other.safetensors")

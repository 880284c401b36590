"""`python -m tests.standin`: serve packs or folders until stdin is closed or SIGTERM comes."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from pathlib import Path

from tests.standin.content import Repository, repository_of_files, repository_of_pack
from tests.standin.server import Standin


def repository_of_folder(folder: Path, repo_id: str) -> Repository:
    """A repository of the files below a folder, hidden ones left out."""
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }
    return repository_of_files(repo_id, files)


def arguments() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.standin", description=__doc__)
    parser.add_argument("--pack", action="append", default=[], help="header pack to serve")
    parser.add_argument("--files", action="append", default=[], help="folder to serve")
    parser.add_argument("--repo", action="append", default=[], help="names, in the same order")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--fault", action="append", default=[], help="NAME, or NAME=JSON")
    parser.add_argument("--stats", action="store_true", help="at the end tell requests and CPU")
    return parser.parse_args()


def repositories(options: argparse.Namespace) -> list[Repository]:
    """What the options ask to serve; names come from the files where none are given."""
    paths = [Path(path) for path in (*options.pack, *options.files)]
    names = options.repo + [path.stem.replace("--", "/") for path in paths[len(options.repo) :]]
    return [
        repository_of_folder(path, name) if path.is_dir() else repository_of_pack(str(path), name)
        for path, name in zip(paths, names, strict=False)
    ]


def main() -> None:
    """Serve, and print the endpoint."""
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with Standin(*repositories(options), latency=options.latency) as standin:
        for fault in options.fault:
            name, _, text = fault.partition("=")
            standin.faults.on(name, json.loads(text) if text else None)
        before = time.process_time()
        print(f"ENDPOINT={standin.endpoint}", flush=True)
        try:
            sys.stdin.read()
        finally:
            if options.stats:
                spent = time.process_time() - before
                print(f"REQUESTS={len(standin.requests)} CPU={spent:.3f}", flush=True)


if __name__ == "__main__":
    main()
